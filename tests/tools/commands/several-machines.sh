command -v mpirun > /dev/null || skip "there is no mpirun"
cp -r photos animals && cp weights/resnet_small.onnx resnet18.onnx
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
# [finetune]
mpirun -n 2 tl finetune animals/ --weights resnet18.onnx --method full --batch 64 --checkpoint animals.checkpoint
# [/finetune]
