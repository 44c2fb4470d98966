# [twice]
tl finetune photos --seed 3 --out a.onnx --threads 1
tl finetune photos --seed 3 --out b.onnx --threads 8
cmp a.onnx b.onnx
# [/twice]
