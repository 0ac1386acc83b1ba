//! What keeps one client from using up what all need.
//!
//! | module | what |
//! | --- | --- |
//! | `pace` | how fast bytes have to move while they are waited for; pure |
//! | `guarded` | a socket that ends when its client takes nothing, or too little |
//! | `paced_body` | a request's body that ends when its client sends too little |
//! | `vigil` | on HTTP/2: answers that nobody takes are let go, connections without requests ended |
//! | `addresses` | connections and requests of one address |
//!
//! Sizes are checked where they are read; heads and handshakes by `connection`.

mod addresses;
mod guarded;
mod pace;
mod paced_body;
mod vigil;

pub(crate) use addresses::{AddressCount, AddressRate};
pub(crate) use guarded::Guarded;
pub(crate) use paced_body::paced;
pub(crate) use vigil::Vigil;
