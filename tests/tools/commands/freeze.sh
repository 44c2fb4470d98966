cp weights/resnet_small.onnx resnet18.onnx
# [names]
build/bin/tl inspect resnet18.onnx
# [/names]
# [two-rates]
build/bin/tl finetune photos --weights resnet18.onnx --train 'layer4.*' --epochs 3 --lr 0.01 --lr-for 'layer4.*=0.001' --out photos.onnx
# [/two-rates]
build/bin/two_rates photos resnet18.onnx mine.onnx
