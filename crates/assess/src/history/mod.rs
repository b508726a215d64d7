//! What incidents of the past say about availability, and whether it gets better.
