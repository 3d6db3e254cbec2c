"""StackStorm's TraceContext, for `dispatch_with_context`."""

__all__ = ["TraceContext"]


class TraceContext:
    """Names a trace by its id, by a tag, or by both."""

    def __init__(self, id_=None, trace_tag=None):
        if not id_ and not trace_tag:
            raise ValueError("Either \"id_\" or \"trace_tag\" is required.")
        self.id_ = id_
        self.trace_tag = trace_tag

    def __str__(self):
        return "{id_: %s, trace_tag: %s}" % (self.id_, self.trace_tag)
