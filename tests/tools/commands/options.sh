mkdir split && cp -r photos split/train && cp -r photos split/valid
build/bin/every_option split weights/resnet_small.onnx mine.onnx | tee said
grep "^epoch 3: loss " said
tl predict mine.onnx photos
