//! What is *announced*: that the log has grown. A bus may lose, repeat or reorder; the log is the truth.
