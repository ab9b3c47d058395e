"""Run golden cases against one backend and print what fails.

    python tests/golden/runner.py --backend numpy --groups backend [--match REGEX] [--json FILE]

The data folder is `../shared/golden` beside the repository, or what KCORE_GOLDEN names.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
import time
import traceback
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path | None:
    """The golden data: KCORE_GOLDEN, else `shared/golden` beside the repository or one folder further up."""
    named = os.environ.get("KCORE_GOLDEN")
    places = [Path(named)] if named else [parent / "shared" / "golden" for parent in (ROOT.parent, ROOT.parent.parent)]
    return next((place for place in places if (place / "golden.py").is_file()), None)


def load_harness(data: Path) -> ModuleType:
    """The interpreter of the cases, which lies beside the data."""
    spec = importlib.util.spec_from_file_location("golden", data / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(backend: str, groups: list[str], match: str = "", *, share: int = 1, trace: bool = False) -> (
    list[dict[str, Any]]
):
    """Results of the cases of the groups whose name matches, in order; of one in `share`, chosen by name."""
    data = folder()
    if data is None:
        raise SystemExit("No golden data: set KCORE_GOLDEN to its folder.")
    os.environ["KERAS_BACKEND"] = backend
    harness = load_harness(data)
    import kcore

    golden, library = harness.Golden(data), harness.Lib(kcore)
    results = []
    for group in groups:
        for case in golden.cases(group):
            if re.search(match, case["name"]) and zlib.crc32(case["name"].encode()) % share == 0:
                start = time.perf_counter()
                results.append(harness.check(library, golden, case))
                results[-1]["seconds"] = time.perf_counter() - start
                if trace and results[-1]["error"] is None:
                    _show_traceback(harness, library, golden, case)
    return results


def _show_traceback(harness: ModuleType, library: Any, golden: Any, case: dict[str, Any]) -> None:
    try:
        harness.execute(library, golden, case)
    except Exception:  # noqa: BLE001 - shown to whoever is looking for it
        traceback.print_exc()


def main() -> int:
    """The command line; exits with 1 when a case fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--groups", nargs="+", default=["backend"])
    parser.add_argument("--match", default="")
    parser.add_argument("--share", type=int, default=1, help="one case in so many")
    parser.add_argument("--json", help="write all results to this file")
    parser.add_argument("--trace", action="store_true", help="show tracebacks of cases that raise")
    options = parser.parse_args()
    results = run(options.backend, options.groups, options.match, share=options.share, trace=options.trace)
    failed = [r for r in results if r["ok"] is False]
    for result in failed:
        print(f"FAILED {result['name']}: {result['message']}")
    slowest = max(results, key=lambda r: r["seconds"], default=None)
    print(f"{options.backend}: {len(results) - len(failed)} of {len(results)} cases passed", end="")
    print(f" in {sum(r['seconds'] for r in results):.1f} s; slowest {slowest['name']}" if slowest else "")
    if options.json:
        Path(options.json).write_text(json.dumps(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
