# [finetune]
build/bin/tl finetune photos
# [/finetune]
# [try]
build/bin/tl predict photos.onnx photos/cats
build/bin/tl inspect photos.onnx
# [/try]
cp build/bin/fine_tune_photos main
# [library]
./main photos weights/resnet_small.onnx mine.onnx
# [/library]
