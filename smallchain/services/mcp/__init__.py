"""MCP servers: started and spoken to through the MCP SDK, one owner task each.

The SDK is loaded when the first server is connected, and on a thread: it takes a second that neither the command nor a start has.
"""
