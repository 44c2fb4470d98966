cp photos/cats/00.png photo.jpg
mkdir -p sorted/train && mv photos/* sorted/train && cp -r sorted/train sorted/valid && mv sorted/* photos
# [program]
build/bin/tl finetune photos                   # writes photos.onnx
build/bin/tl predict photos.onnx photo.jpg
build/bin/tl evaluate photos.onnx photos/valid
build/bin/tl inspect photos.onnx
build/bin/tl doctor photos.onnx
# [/program]
