"""The network and the photo that course_15_ship leaves in this folder, in onnxruntime. Needs onnxruntime, numpy and Pillow."""
# [compare]
import numpy as np, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("flowers.onnx")
about = session.get_modelmeta().custom_metadata_map
print(about["tl.preprocess"])
spec = dict(part.split("=") for part in about["tl.preprocess"].split(",") if "=" in part)
mean, std = (np.array(spec[key].split("/"), np.float32) for key in ("mean", "std"))

photo = np.asarray(Image.open("flower.png").convert("RGB"), np.float32)   # 64x64 already: nothing to resize
x = ((photo - mean) / std).transpose(2, 0, 1)[None]
logits = session.run(None, {session.get_inputs()[0].name: x})[0]
print("taken for", about["tl.labels"].split("\n")[int(logits.argmax())])
print("input differs by", np.abs(x - np.load("input.npy")).max())
print("logits differ by", np.abs(logits - np.load("logits.npy")).max(), "of", np.abs(logits).max())
# [/compare]
