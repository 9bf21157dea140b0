// queue.cpp: work waits on its stream until something needs it, and then no more runs than that needs: work of another
// stream that should have come first, but that nothing waits for, has not happened yet.
#include <chrono>

#include "state.h"

namespace driver {
// QUEUE is how much a stream holds before its oldest work is run: a real driver's launches wait there too.
enum { QUEUE = 4096 };

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Stream *find_stream(void *handle) {
  Context *c = current_context();
  if (!c) return nullptr;
  if (handle == nullptr || handle == (void *)1) {
    static const char *e = getenv("ACUSIM_LEGACY");
    if (e && std::string(e) == "error") {
      complain("legacy: the legacy stream is used, which ACUSIM_LEGACY=error forbids");
      return nullptr;
    }
    return c->legacy.get();
  }
  return state().streams.count((Stream *)handle) ? (Stream *)handle : nullptr;
}

Mark tail(Stream *s) { return {s->line, s->line->queued}; }
bool done(const Mark &m) { return !m.line || m.line->done >= m.place; }

namespace {
int run_front(Line &l) {
  for (;;) { // what comes first may be on other lines
    const Mark *wait = nullptr;
    for (const Mark &m : l.ops.front().after)
      if (!done(m)) wait = &m;
    if (!wait) break;
    Mark m = *wait;
    if (int e = run_until(m)) return e;
  }
  Op op = std::move(l.ops.front());
  l.ops.pop_front();
  l.done++;
  return op.run();
}
} // namespace

int run_until(const Mark &m) {
  int error = 0;
  while (!done(m)) {
    int e = run_front(*m.line);
    if (e && !error) error = e;
  }
  return error;
}

int step(const Mark &m) {
  if (done(m)) return 0;
  for (const Mark &w : m.line->ops.front().after)
    if (!done(w)) return step(Mark(w));
  return run_front(*m.line);
}

int drain(Stream *s) { return run_until(tail(s)); }

int drain_all(Context *c) {
  int error = run_until(tail(c->legacy.get()));
  for (Stream *s : std::set<Stream *>(c->streams)) {
    int e = drain(s);
    if (e && !error) error = e;
  }
  if (!error) error = check_red_zones();
  if (error && !c->error) c->error = error;
  return c->error;
}

// guarded runs work unless its context has failed; a failure stays.
static std::function<int()> guarded(Context *c, std::function<int()> run) {
  return [c, run = std::move(run)]() -> int {
    if (!state().contexts.count(c)) return CONTEXT_IS_DESTROYED;
    if (c->error) return c->error;
    c->error = run();
    return c->error;
  };
}

int enqueue(Stream *s, const char *name, int node_type, std::function<int()> run) {
  if (s->capture) return capture_node(s, name, node_type, std::move(run));
  Context *c = s->context;
  Op op{name, guarded(c, std::move(run)), {}};
  if (s == c->legacy.get()) {
    for (Stream *x : c->streams)
      if (x->blocking && x->capture) {
        invalidate(x->capture);
        complain("capture: %s on the legacy stream while a blocking stream is capturing", name);
        return STREAM_CAPTURE_IMPLICIT;
      }
    for (Stream *x : c->streams)
      if (x->blocking && !done(tail(x))) op.after.push_back(tail(x));
  } else if (s->blocking && !done(tail(c->legacy.get()))) {
    op.after.push_back(tail(c->legacy.get()));
  }
  s->line->ops.push_back(std::move(op));
  s->line->queued++;
  if (s->line->ops.size() > QUEUE) return run_front(*s->line);
  return 0;
}
} // namespace driver
