// capture.cpp: stream capture, and what it forbids.
#include <algorithm>

#include "state.h"

namespace driver {
enum Mode { GLOBAL, THREAD_LOCAL, RELAXED };
static thread_local int thread_mode = GLOBAL;

void invalidate(const std::shared_ptr<Capture> &c) { c->invalid = true; }

// A call that may synchronise or allocate is forbidden to a thread with a capture of its own that is not relaxed, and to
// every thread while another's capture has the global mode.
int unsafe(const char *name) {
  if (thread_mode == RELAXED) return 0;
  int error = 0;
  for (const auto &c : state().captures) {
    bool mine = pthread_equal(c->thread, pthread_self());
    if (c->mode == RELAXED || (!mine && (c->mode != GLOBAL || thread_mode != GLOBAL))) continue;
    invalidate(c);
    error = STREAM_CAPTURE_UNSUPPORTED;
  }
  if (error) complain("capture: %s is not allowed while a stream is capturing", name);
  return error;
}

int capture_node(Stream *s, const char *name, int node_type, std::function<int()> run) {
  Capture &c = *s->capture;
  if (c.invalid) return STREAM_CAPTURE_INVALIDATED;
  c.graph->nodes.push_back(std::unique_ptr<Node>(new Node{name, node_type, std::move(run), s->tails}));
  s->tails = {c.graph->nodes.size() - 1};
  return 0;
}

static void leave(const std::shared_ptr<Capture> &c) {
  for (Stream *s : state().streams)
    if (s->capture == c) {
      s->capture.reset();
      s->tails.clear();
    }
  state().captures.erase(c);
}

// unjoined tells whether a stream has captured work that the origin's last work does not depend on.
static bool unjoined(const Capture &c) {
  std::vector<bool> seen(c.graph->nodes.size());
  std::vector<size_t> todo(c.origin->tails.begin(), c.origin->tails.end());
  while (!todo.empty()) {
    size_t n = todo.back();
    todo.pop_back();
    if (seen[n]) continue;
    seen[n] = true;
    for (size_t d : c.graph->nodes[n]->after) todo.push_back(d);
  }
  return std::find(seen.begin(), seen.end(), false) != seen.end();
}
} // namespace driver

using namespace driver;

API cuThreadExchangeStreamCaptureMode(int *mode) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!mode || *mode < GLOBAL || *mode > RELAXED) return INVALID_VALUE;
  std::swap(*mode, thread_mode);
  return SUCCESS;
}

API cuStreamBeginCapture_v2(void *handle, int mode) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (mode < GLOBAL || mode > RELAXED) return INVALID_VALUE;
  if (s == s->context->legacy.get()) return STREAM_CAPTURE_UNSUPPORTED;
  if (s->capture) return ILLEGAL_STATE;
  static uint64_t ids = 0;
  auto c = std::make_shared<Capture>();
  c->id = ++ids;
  c->mode = mode;
  c->thread = pthread_self();
  c->origin = s;
  s->capture = c;
  s->tails.clear();
  state().captures.insert(c);
  return SUCCESS;
}

API cuStreamEndCapture(void *handle, Graph **graph) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (!graph) return INVALID_VALUE;
  *graph = nullptr;
  if (!s->capture) return ILLEGAL_STATE;
  std::shared_ptr<Capture> c = s->capture;
  if (c->origin != s) return STREAM_CAPTURE_UNMATCHED;
  if (c->mode != RELAXED && !pthread_equal(c->thread, pthread_self())) {
    invalidate(c);
    return STREAM_CAPTURE_WRONG_THREAD;
  }
  bool open = unjoined(*c);
  leave(c);
  if (c->invalid) return STREAM_CAPTURE_INVALIDATED;
  if (open) {
    complain("capture: a forked stream's work is not joined to the stream that began the capture");
    return STREAM_CAPTURE_UNJOINED;
  }
  *graph = c->graph.get();
  state().graphs[*graph] = c->graph;
  return SUCCESS;
}

static int status(Stream *s, int *out) {
  if (s == s->context->legacy.get())
    for (Stream *x : s->context->streams)
      if (x->blocking && x->capture) return STREAM_CAPTURE_IMPLICIT;
  *out = !s->capture ? 0 : s->capture->invalid ? 2 : 1;
  return SUCCESS;
}

API cuStreamIsCapturing(void *handle, int *out) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  return out ? status(s, out) : INVALID_VALUE;
}

static int info(const char *name, void *handle, int *out, uint64_t *id, Graph **graph) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (!out) return INVALID_VALUE;
  int e = status(s, out);
  if (e || *out != 1) return e;
  if (id) *id = s->capture->id;
  if (graph) *graph = s->capture->graph.get();
  return SUCCESS;
}
API cuStreamGetCaptureInfo(void *s, int *out, uint64_t *id) { return info(__func__, s, out, id, nullptr); }
// The dependencies of the next node are not told: their number is 0.
API cuStreamGetCaptureInfo_v2(void *s, int *out, uint64_t *id, Graph **graph, const void ***nodes, size_t *n) {
  if (nodes) *nodes = nullptr;
  if (n) *n = 0;
  return info(__func__, s, out, id, graph);
}
