//! What systemd passes and is told.
