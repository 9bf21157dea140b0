// stream.cpp: streams and events.
#include "state.h"

using namespace driver;

static int make_stream(const char *name, Stream **s, unsigned flags, int priority) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  if (!s || flags > 1) return INVALID_VALUE;
  Context *c = current_context();
  *s = new Stream{c, (flags & 1) == 0, priority < -5 ? -5 : priority > 0 ? 0 : priority};
  c->streams.insert(*s);
  state().streams.insert(*s);
  return SUCCESS;
}
API cuStreamCreate(Stream **s, unsigned flags) { return make_stream(__func__, s, flags, 0); }
API cuStreamCreateWithPriority(Stream **s, unsigned flags, int priority) { return make_stream(__func__, s, flags, priority); }

API cuStreamDestroy_v2(Stream *s) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().streams.count(s)) return INVALID_HANDLE;
  if (s->capture) { // as documented: destroying a capturing stream invalidates
    invalidate(s->capture);
    if (s->capture->origin == s) state().captures.erase(s->capture);
  }
  int e = drain(s);
  s->context->streams.erase(s);
  state().streams.erase(s);
  delete s;
  return e;
}

API cuStreamSynchronize(void *handle) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (s->capture) {
    invalidate(s->capture);
    complain("capture: %s of a stream that is capturing", __func__);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  if (int e = unsafe("cuStreamSynchronize")) return e;
  if (s == s->context->legacy.get()) { // waits for all blocking streams
    for (Stream *x : s->context->streams)
      if (x->blocking)
        if (int e = drain(x)) return e;
  }
  int e = drain(s);
  return e ? e : check_red_zones();
}

API cuStreamQuery(void *handle) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (s->capture) {
    invalidate(s->capture);
    complain("capture: %s of a stream that is capturing", __func__);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  if (int e = unsafe("cuStreamQuery")) return e;
  Mark m = tail(s);
  if (done(m)) return SUCCESS;
  int e = step(m);
  return e ? e : NOT_READY;
}

API cuStreamGetFlags(void *handle, unsigned *flags) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (!flags) return INVALID_VALUE;
  *flags = s->blocking ? 0 : 1;
  return SUCCESS;
}

API cuStreamGetPriority(void *handle, int *priority) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (!priority) return INVALID_VALUE;
  *priority = s->priority;
  return SUCCESS;
}

API cuStreamGetCtx(void *handle, Context **c) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s) return INVALID_HANDLE;
  if (!c) return INVALID_VALUE;
  *c = s->context;
  return SUCCESS;
}

API cuStreamWaitEvent(void *handle, Event *e, unsigned flags) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s || !state().events.count(e)) return INVALID_HANDLE;
  if (flags > 1) return INVALID_VALUE;
  if (e->capture && state().captures.count(e->capture)) {
    if (s->capture && s->capture != e->capture) {
      invalidate(s->capture);
      invalidate(e->capture);
      return STREAM_CAPTURE_MERGE;
    }
    if (e->capture->invalid) return STREAM_CAPTURE_INVALIDATED;
    if (s == s->context->legacy.get()) {
      invalidate(e->capture);
      return STREAM_CAPTURE_IMPLICIT;
    }
    s->capture = e->capture; // the stream joins the capture
    s->tails.insert(e->tails.begin(), e->tails.end());
    return SUCCESS;
  }
  if (s->capture) {
    if (s->capture->invalid) return STREAM_CAPTURE_INVALIDATED;
    if (!e->recorded) return SUCCESS;
    invalidate(s->capture);
    complain("capture: a capturing stream waits for an event that was recorded outside the capture");
    return STREAM_CAPTURE_ISOLATION;
  }
  if (!e->recorded || done(e->mark)) return SUCCESS;
  Mark m = e->mark;
  int error = enqueue(s, __func__, EMPTY_NODE, [] { return 0; });
  if (!error && !s->line->ops.empty()) s->line->ops.back().after.push_back(m);
  return error;
}

API cuEventCreate(Event **e, unsigned flags) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!e || flags > 7) return INVALID_VALUE;
  *e = new Event{current_context(), (flags & 2) == 0};
  state().events.insert(*e);
  return SUCCESS;
}

API cuEventDestroy_v2(Event *e) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().events.count(e)) return INVALID_HANDLE;
  state().events.erase(e);
  delete e;
  return SUCCESS;
}

static int record(const char *name, Event *e, void *handle) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(handle);
  if (!s || !state().events.count(e)) return INVALID_HANDLE;
  if (s->capture) {
    if (s->capture->invalid) return STREAM_CAPTURE_INVALIDATED;
    e->capture = s->capture;
    e->tails = s->tails;
    e->recorded = false;
    return SUCCESS;
  }
  auto ms = std::make_shared<double>(0);
  if (int error = enqueue(s, name, EMPTY_NODE, [ms] {
        *ms = now_ms();
        return 0;
      }))
    return error;
  e->recorded = true;
  e->mark = tail(s);
  e->ms = ms;
  e->capture.reset();
  return SUCCESS;
}
API cuEventRecord(Event *e, void *stream) { return record(__func__, e, stream); }
API cuEventRecordWithFlags(Event *e, void *stream, unsigned) { return record(__func__, e, stream); }

static bool captured(Event *e) { return e->capture && !e->recorded; }

API cuEventQuery(Event *e) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().events.count(e)) return INVALID_HANDLE;
  if (captured(e)) {
    invalidate(e->capture);
    complain("capture: %s of an event that a capturing stream recorded", __func__);
    return CAPTURED_EVENT;
  }
  if (int error = unsafe(__func__)) return error;
  if (!e->recorded || done(e->mark)) return SUCCESS;
  int error = step(e->mark);
  return error ? error : NOT_READY;
}

API cuEventSynchronize(Event *e) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().events.count(e)) return INVALID_HANDLE;
  if (captured(e)) {
    invalidate(e->capture);
    complain("capture: %s of an event that a capturing stream recorded", __func__);
    return CAPTURED_EVENT;
  }
  if (int error = unsafe(__func__)) return error;
  return e->recorded ? run_until(e->mark) : 0;
}

static int elapsed(const char *name, float *ms, Event *a, Event *b) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  if (!ms) return INVALID_VALUE;
  if (!state().events.count(a) || !state().events.count(b)) return INVALID_HANDLE;
  if (!a->timing || !b->timing || !a->recorded || !b->recorded) return INVALID_HANDLE;
  if (!done(a->mark) || !done(b->mark)) return NOT_READY;
  *ms = (float)(*b->ms - *a->ms);
  return SUCCESS;
}
API cuEventElapsedTime(float *ms, Event *a, Event *b) { return elapsed(__func__, ms, a, b); }
API cuEventElapsedTime_v2(float *ms, Event *a, Event *b) { return elapsed(__func__, ms, a, b); }
