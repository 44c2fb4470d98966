mkdir -p animals/train && mv photos/* animals/train && cp -r animals/train animals/valid
mkdir flat-folder && echo file,class > labels.csv
for file in animals/valid/*/*; do
  class=$(basename "$(dirname "$file")")
  cp "$file" "flat-folder/$class-$(basename "$file")" && echo "$class-$(basename "$file"),$class" >> labels.csv
done
cp flat-folder/*1.png photos
cp weights/resnet_small.onnx resnet18.onnx
# [finetune]
tl finetune animals/
tl finetune animals/ --weights resnet18.onnx --method head --epochs 5 --out animals.onnx
# [/finetune]
# [checkpoint]
tl finetune animals/ --method full --epochs 50 --out animals.onnx --checkpoint animals.checkpoint
# [/checkpoint]
# [find-lr]
tl find-lr animals/ --weights resnet18.onnx --method full --svg rates.svg
# [/find-lr]
# [features]
tl features resnet18.onnx animals/train --out animals.npy --labels-out labels.npy
# [/features]
# [predict]
tl predict animals.onnx photos/ --top 1
# [/predict]
# [speed]
tl bench animals.onnx --batch 16
time tl predict animals.onnx photos/ --csv > photos.csv
# [/speed]
# [evaluate]
tl evaluate animals.onnx animals/valid
tl evaluate animals.onnx flat-folder --labels labels.csv
# [/evaluate]
# [inspect]
tl inspect animals.onnx
# [/inspect]
# [run]
tl run animals.onnx --input x.npy --output logits.npy
# [/run]
# [doctor]
tl doctor animals.onnx
# [/doctor]
# [bench]
tl bench animals.onnx --batch 1
# [/bench]
shared="${TL_SHARED:-tests/../../shared}/models/efficientnet-lite0-57934424.pth"
if [ -e "$shared" ]; then
  cp "$shared" efficientnet-lite0.pth
  # [export-pth]
  tl export efficientnet-lite0.pth lite0.onnx --preprocess resize=256,bicubic,crop=224,mean=127,std=128,rgb
  # [/export-pth]
fi
# [export]
tl export animals.onnx animals.safetensors
# [/export]
mkdir -p ~/.zsh/completions
command -v man > /dev/null || man() { grep 'tl finetune'; }
# [completion]
source <(tl completion bash)                    # in ~/.bashrc
tl completion zsh > ~/.zsh/completions/_tl      # a folder of $fpath, before compinit
tl man | man -l -
# [/completion]
# [report]
tl finetune animals/ --weights resnet18.onnx --out animals.onnx --report animals.html
# [/report]
