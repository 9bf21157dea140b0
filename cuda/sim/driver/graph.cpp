// graph.cpp: graphs, which come from captures, and their launches.
#include "state.h"

namespace driver {
// run_graph runs nodes that are ready latest captured first: an order that a missing dependency does not survive.
int run_graph(const Graph &g) {
  std::vector<size_t> missing(g.nodes.size());
  std::vector<std::vector<size_t>> next(g.nodes.size());
  std::set<size_t> ready;
  for (size_t i = 0; i < g.nodes.size(); i++) {
    missing[i] = g.nodes[i]->after.size();
    for (size_t d : g.nodes[i]->after) next[d].push_back(i);
    if (!missing[i]) ready.insert(i);
  }
  while (!ready.empty()) {
    size_t i = *ready.rbegin();
    ready.erase(i);
    if (int e = g.nodes[i]->run()) return e;
    for (size_t n : next[i])
      if (!--missing[n]) ready.insert(n);
  }
  return 0;
}
} // namespace driver

using namespace driver;

static int instantiate(const char *name, GraphExec **exec, Graph *graph) {
  Call call(name, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!exec || !state().graphs.count(graph)) return INVALID_VALUE;
  *exec = new GraphExec{state().graphs[graph], {}};
  state().execs.insert(*exec);
  return SUCCESS;
}
API cuGraphInstantiateWithFlags(GraphExec **exec, Graph *graph, unsigned long long) { return instantiate(__func__, exec, graph); }
API cuGraphInstantiate_v2(GraphExec **exec, Graph *graph, void **, char *, size_t) { return instantiate(__func__, exec, graph); }

API cuGraphUpload(GraphExec *exec, void *stream) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().execs.count(exec)) return INVALID_VALUE;
  return find_stream(stream) ? SUCCESS : INVALID_HANDLE;
}

API cuGraphLaunch(GraphExec *exec, void *stream) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().execs.count(exec)) return INVALID_VALUE;
  Stream *s = find_stream(stream);
  if (!s) return INVALID_HANDLE;
  std::shared_ptr<Graph> g = exec->graph;
  int e = enqueue(s, __func__, GRAPH_NODE, [g] { return run_graph(*g); });
  if (e || s->capture) return e;
  if (!s->line->ops.empty() && !done(exec->last)) s->line->ops.back().after.push_back(exec->last);
  exec->last = tail(s);
  return SUCCESS;
}

API cuGraphDestroy(Graph *graph) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  return state().graphs.erase(graph) ? SUCCESS : INVALID_VALUE;
}

API cuGraphExecDestroy(GraphExec *exec) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!state().execs.erase(exec)) return INVALID_VALUE;
  delete exec;
  return SUCCESS;
}

API cuGraphGetNodes(Graph *graph, Node **nodes, size_t *n) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!n || !state().graphs.count(graph)) return INVALID_VALUE;
  size_t have = graph->nodes.size();
  if (nodes)
    for (size_t i = 0; i < *n; i++) nodes[i] = i < have ? graph->nodes[i].get() : nullptr;
  if (!nodes || *n > have) *n = have;
  return SUCCESS;
}

API cuGraphNodeGetType(Node *node, int *type) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!node || !type) return INVALID_VALUE;
  *type = node->type;
  return SUCCESS;
}

API cuGraphGetEdges(Graph *graph, Node **from, Node **to, size_t *n) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!n || !state().graphs.count(graph)) return INVALID_VALUE;
  size_t k = 0;
  for (auto &node : graph->nodes)
    for (size_t d : node->after) {
      if (from && to && k < *n) from[k] = graph->nodes[d].get(), to[k] = node.get();
      k++;
    }
  if (!from || !to || k < *n) *n = k;
  return SUCCESS;
}
