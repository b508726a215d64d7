//! Carries TCP and adds the faults it is told to. No root needed.
