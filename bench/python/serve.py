"""The peer's side of bench/peer: one line of JSON in, one out."""
import json
import os
import sys
import time


class Lacks(Exception):
    """There is no way to do such a case."""


def serve(about, prepare, threads, drop=lambda: None):
    """Answers until standard input ends. prepare(case) gives a function to call; threads(n) sets how many it may use."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    ready, now = {}, None
    for line in sys.stdin:
        answer = {}
        try:
            request = json.loads(line)
            do = request["do"]
            if do == "about":
                answer["about"] = about
            elif do == "drop":
                ready.clear()
                drop()
            elif do == "time":
                if now != request["threads"]:
                    now = request["threads"]
                    threads(now)
                key = json.dumps(request["case"], sort_keys=True)
                if key not in ready:
                    ready[key] = prepare(request["case"])
                call = ready[key]
                for _ in range(request.get("skip", 0)):
                    call()
                began = time.perf_counter()
                for _ in range(request["calls"]):
                    call()
                answer["seconds"] = time.perf_counter() - began
            else:
                raise ValueError("not a request: " + line)
        except Lacks as e:
            answer = {"error": str(e), "lacks": True}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()
