needs_modules numpy onnxruntime PIL
# [finetune]
build/bin/tl finetune photos
python3 examples/how_to/other_runtime.py photos.onnx photos/*/*.png
build/bin/tl predict photos.onnx photos/*/*.png
# [/finetune]
