needs_modules numpy onnxruntime PIL
mkdir -p python/bin && printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v python3)" > python/bin/python3 && chmod +x python/bin/python3
# [finetune]
build/bin/tl finetune photos
python/bin/python3 examples/how_to/other_runtime.py photos.onnx photos/*/*
build/bin/tl predict photos.onnx photos/*/*
# [/finetune]
