# [course]
build/bin/course_03_tape
# [/course]
# [isa]
TL_ISA=avx2 OMP_NUM_THREADS=2 build/bin/tl bench weights/resnet_small.onnx
# [/isa]
