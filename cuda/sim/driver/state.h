// state.h: what the driver keeps. One lock stands around every call; work runs in the thread whose call waits for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <pthread.h>
#include <set>
#include <string>
#include <vector>

#include "../shim/launch.h"
#include "result.h"

#define API extern "C" __attribute__((visibility("default"))) int

namespace driver {
typedef unsigned long long Address; // CUdeviceptr

// Gpu is a model: its limits and names.
struct Gpu {
  const char *key, *name;
  int major, minor, sms;
  size_t memory;
  int shared_block, shared_sm; // bytes that one block may have at most, bytes of one SM
  int threads_sm, blocks_sm;
  int clock_khz, memory_khz, bus_bits, l2;
};
const Gpu &gpu();
const std::string &playing(); // the case of ACUSIM_CASE
int device_count();

// A Line is a queue of work in order. Marks are places on it.
struct Line;
struct Mark {
  std::shared_ptr<Line> line;
  uint64_t place = 0;
};
struct Op {
  const char *name;
  std::function<int()> run;
  std::vector<Mark> after; // work on other lines that comes first
};
struct Line {
  uint64_t queued = 0, done = 0;
  std::deque<Op> ops;
};

// A Node is one piece of captured work; its dependencies have lower numbers.
struct Node {
  const char *name;
  int type; // CUgraphNodeType
  std::function<int()> run;
  std::set<size_t> after;
};
struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
};
struct GraphExec {
  std::shared_ptr<Graph> graph;
  Mark last; // launches of one executable graph do not overlap
};

struct Capture {
  uint64_t id;
  int mode;
  pthread_t thread;
  struct Stream *origin;
  bool invalid = false;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
};

struct Context;
struct Stream {
  Context *context;
  bool blocking; // waits for the legacy stream, and that one for it
  int priority;
  std::shared_ptr<Line> line = std::make_shared<Line>();
  std::shared_ptr<Capture> capture;
  std::set<size_t> tails; // the nodes that the stream's next one depends on
};

struct Event {
  Context *context;
  bool timing;
  bool recorded = false;
  Mark mark;
  std::shared_ptr<double> ms; // when the work before it was done
  std::shared_ptr<Capture> capture; // the capture that it was last recorded in
  std::set<size_t> tails;
};

struct Function {
  struct Module *module;
  const sim::Kernel *kernel;
  int dynamic_limit; // bytes of dynamic shared memory that a launch may ask for
};
struct Module {
  Context *context;
  std::string file;                // only this file's kernels; empty: all
  std::set<std::string> functions; // of an ELF image; empty: all
  std::map<std::string, std::unique_ptr<Function>> made;
};

struct Allocation {
  Context *context;
  size_t bytes;
};

struct Context {
  int device;
  bool primary;
  int error = 0; // set by a fault; every later call returns it
  unsigned flags = 0;
  std::unique_ptr<Stream> legacy;
  std::set<Stream *> streams;
};

struct State {
  bool initialized = false;
  int retained = 0; // of the primary context
  Context *primary = nullptr;
  std::set<Context *> contexts;
  std::set<Stream *> streams;
  std::set<Event *> events;
  std::set<Module *> modules;
  std::set<Function *> functions;
  std::map<Graph *, std::shared_ptr<Graph>> graphs;
  std::set<GraphExec *> execs;
  std::map<uintptr_t, Allocation> memory, pinned;
  size_t used = 0, peak = 0;
  std::map<std::string, long> extra; // counted by other libraries
  std::set<std::shared_ptr<Capture>> captures;
  std::set<std::string> loaded; // functions that were fetched once
};
State &state();

// What a call needs before it may go on.
enum Needs { NOTHING = 0, INIT = 1, CONTEXT = 3, UNSAFE = 4 }; // UNSAFE: not while a stream is capturing
struct Call {
  int error;
  Call(const char *name, unsigned needs);
  ~Call();
  Call(const Call &) = delete;
};

Context *current_context();
void push_context(Context *c); // replaces nothing
std::vector<Context *> &context_stack();
int sticky(); // the fault of the current context

// The queue.
Stream *find_stream(void *handle); // null: no such stream; 0 is the legacy stream
int enqueue(Stream *s, const char *name, int node_type, std::function<int()> run);
int run_until(const Mark &m);
int drain(Stream *s);
int drain_all(Context *c);
int step(const Mark &m); // at most one piece of work towards m
bool done(const Mark &m);
Mark tail(Stream *s);
double now_ms();

// Captures.
int unsafe(const char *name); // 0, or the error of a call that a capture forbids
void invalidate(const std::shared_ptr<Capture> &c);
int capture_node(Stream *s, const char *name, int node_type, std::function<int()> run);
int run_graph(const Graph &g);
enum NodeType { KERNEL_NODE = 0, MEMCPY_NODE = 1, MEMSET_NODE = 2, GRAPH_NODE = 4, EMPTY_NODE = 5 };

// Memory.
bool inside(Address a, size_t n);              // a live allocation holds all of it
bool pinned_host(const void *p, size_t n);
int check_red_zones();                         // 0, or ILLEGAL_ADDRESS after a line on standard error
void free_all(Context *c);

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string live(long *total);
} // namespace driver
