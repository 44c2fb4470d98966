needs_modules numpy onnxruntime PIL
build/bin/course_15_ship
python3 examples/course/course_15_onnxruntime.py | tee said
grep "^taken for daisy" said
