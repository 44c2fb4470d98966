cp weights/resnet_small.onnx resnet18.onnx
# [names]
build/bin/tl inspect resnet18.onnx
# [/names]
# [two-rates]
build/bin/tl finetune photos --weights resnet18.onnx --train 'layer4.*' --lr 0.02 --lr-for 'layer4.*=0.002' --out photos.onnx
# [/two-rates]
