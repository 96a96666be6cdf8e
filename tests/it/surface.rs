//! The whole surface of the API, as a client meets it: every operation passes with its exact bytes, every dialect's
//! events arrive as they are and when they are, and old and chatty peers get what they understand.

mod dialects;
mod events;
mod operations;
mod peers;
