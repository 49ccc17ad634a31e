// Included before ssh2's native cipher is compiled.
// Newer releases of Node 24 register an environment clean-up hook for every node::ObjectWrap and take it back in the destructor. A
// destructor that runs from a garbage collection outside of any JavaScript context (an idle or asynchronous one) finds no environment
// and aborts the process: one closed connection, collected at the wrong moment, would end every session of an edge. The hooks only
// free objects when an environment is torn down before its process; an edge is one environment, and ends with its process.
#include <node.h>
#define AddEnvironmentCleanupHook(...) ((void)0)
#define RemoveEnvironmentCleanupHook(...) ((void)0)
