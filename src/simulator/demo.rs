//! `sidegate mock`: a simulated provider until Ctrl-C.
