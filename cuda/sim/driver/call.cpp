// call.cpp: what every call begins with: the lock, the log, planned failures, the state it needs. And what is left at exit.
#include <cstdarg>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>

#include "plugin.h"
#include "state.h"

namespace driver {
static std::recursive_mutex &lock() {
  static auto *m = new std::recursive_mutex;
  return *m;
}

State &state() {
  static State *s = new State; // never destroyed: threads may call while the process ends
  return *s;
}

void complain(const char *format, ...) {
  char s[1000];
  va_list a;
  va_start(a, format);
  vsnprintf(s, sizeof s, format, a);
  va_end(a);
  fprintf(stderr, "acusim: %s\n", s);
}

namespace {
void log_call(const char *name) {
  static const char *path = getenv("ACUSIM_LOG");
  if (!path || !*path) return;
  static int f = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  std::string line = std::string(name) + "\n";
  if (write(f, line.data(), line.size()) < 0) {}
}

struct Planned {
  long at, seen = 0;
  int code;
};

// ACUSIM_FAIL is a list of call:N or call:N:code; the code is 999 unless told.
std::map<std::string, std::vector<Planned>> read_plan() {
  std::map<std::string, std::vector<Planned>> plan;
  const char *e = getenv("ACUSIM_FAIL");
  std::string s = e ? e : "";
  for (size_t i = 0; i < s.size();) {
    size_t end = s.find(',', i);
    if (end == std::string::npos) end = s.size();
    std::string item = s.substr(i, end - i);
    i = end + 1;
    size_t colon = item.find(':');
    if (colon == std::string::npos) {
      complain("ACUSIM_FAIL: \"%s\" is not call:N or call:N:code", item.c_str());
      continue;
    }
    Planned p;
    char *rest;
    p.at = strtol(item.c_str() + colon + 1, &rest, 10);
    p.code = *rest == ':' ? atoi(rest + 1) : item.compare(0, 6, "cublas") ? 999 : 14;
    plan[item.substr(0, colon)].push_back(p);
  }
  return plan;
}

// planned is the code with which this call is to fail, or 0. A name without its version suffix means every version.
int planned(const char *name) {
  static auto *plan = new std::map<std::string, std::vector<Planned>>(read_plan());
  if (plan->empty()) return 0;
  std::string full = name, bare = full;
  size_t n = full.size();
  if (n > 3 && full[n - 3] == '_' && full[n - 2] == 'v') bare = full.substr(0, n - 3);
  int code = 0;
  for (const std::string &k : bare == full ? std::vector<std::string>{full} : std::vector<std::string>{full, bare}) {
    auto it = plan->find(k);
    if (it == plan->end()) continue;
    for (Planned &p : it->second)
      if (++p.seen == p.at) code = p.code;
  }
  if (code) complain("%s fails with %d, as ACUSIM_FAIL says", name, code);
  return code;
}

bool is_fault(int code) { return code == ILLEGAL_ADDRESS || (code >= 710 && code <= 719 && code != 712 && code != 713); }
} // namespace

Call::Call(const char *name, unsigned needs) : error(0) {
  lock().lock();
  log_call(name);
  if ((error = planned(name))) {
    if (is_fault(error) && current_context()) current_context()->error = error;
    return;
  }
  if ((needs & INIT) && !state().initialized) {
    error = NOT_INITIALIZED;
    return;
  }
  if ((needs & CONTEXT) == CONTEXT) {
    if (!current_context()) error = INVALID_CONTEXT;
    else error = sticky();
    if (error) return;
  }
  if (needs & UNSAFE) error = unsafe(name);
}

Call::~Call() { lock().unlock(); }

std::string live(long *total) {
  State &s = state();
  std::string text;
  long sum = 0;
  auto add = [&](const char *what, long n) {
    if (!n) return;
    text += (text.empty() ? "" : ", ") + std::to_string(n) + " " + what;
    sum += n;
  };
  long handles = 0;
  for (Context *c : s.contexts) handles += !c->primary;
  add("contexts", handles);
  add("retained primary contexts", s.retained);
  add("streams", (long)s.streams.size());
  add("events", (long)s.events.size());
  add("modules", (long)s.modules.size());
  add("graphs", (long)s.graphs.size());
  add("executable graphs", (long)s.execs.size());
  add("captures under way", (long)s.captures.size());
  add("device allocations", (long)s.memory.size());
  add("pinned host allocations", (long)s.pinned.size());
  for (auto &e : s.extra) add(e.first.c_str(), e.second);
  if (s.used) text += " (" + std::to_string(s.used) + " bytes on the device)";
  *total = sum;
  return text;
}

// After a fault a process cannot free anything: its leaks say nothing.
__attribute__((destructor)) static void at_exit() {
  const char *e = getenv("ACUSIM_LEAKS");
  if (!e || *e != '1') return;
  for (Context *c : state().contexts)
    if (c->error) return;
  long n;
  std::string text = live(&n);
  if (n) complain("leak: %s", text.c_str());
}
} // namespace driver

using namespace driver;

// acusim_live writes what has not been released, as text, and returns how many things that are.
extern "C" __attribute__((visibility("default"))) long acusim_live(char *text, size_t n) {
  std::lock_guard<std::recursive_mutex> l(lock());
  long total;
  std::string s = live(&total);
  if (text && n) snprintf(text, n, "%s", s.c_str());
  return total;
}

// acusim_peak is the largest number of bytes that were allocated on the device at one time.
extern "C" __attribute__((visibility("default"))) size_t acusim_peak() {
  std::lock_guard<std::recursive_mutex> l(lock());
  return state().peak;
}

extern "C" void acusim_count(const char *what, long n) {
  std::lock_guard<std::recursive_mutex> l(lock());
  state().extra[what] += n;
}
extern "C" int acusim_enter(const char *name, int capture_forbids) {
  lock().lock();
  log_call(name);
  int code = planned(name);
  if (code) return code;
  if (!state().initialized || !current_context()) return -NOT_INITIALIZED;
  if (sticky()) return -sticky();
  return capture_forbids ? -unsafe(name) : 0;
}
extern "C" void acusim_leave() { lock().unlock(); }
extern "C" int acusim_enqueue(void *stream, const char *name, void (*run)(const void *), const void *data, size_t bytes) {
  Stream *s = find_stream(stream);
  if (!s) return INVALID_HANDLE;
  auto copy = std::make_shared<std::vector<char>>((const char *)data, (const char *)data + bytes);
  return enqueue(s, name, KERNEL_NODE, [run, copy] {
    run(copy->data());
    return plugin_failure();
  });
}
extern "C" int acusim_unsafe(const char *what) { return unsafe(what); }
extern "C" int acusim_capturing(void *stream) {
  Stream *s = find_stream(stream);
  return s && s->capture;
}
