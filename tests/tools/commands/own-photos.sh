# [report]
build/bin/tl finetune photos --report photos.html
# [/report]
mv photos/cats/*.png . && rm -r photos && for file in *.png; do echo "$file,class $file"; done > labels.csv
# [labels]
while IFS=, read -r file class; do mkdir -p "photos/$class" && ln -s "$PWD/$file" "photos/$class/"; done < labels.csv
# [/labels]
cmp "photos/class 01.png/01.png" 01.png
