//! What keeps one client from using up what all need.
//!
//! | module | what |
//! | --- | --- |
//! | `pace` | how fast bytes have to move while they are waited for; pure |
//! | `guarded` | a socket that ends when its client takes nothing, or too little |
//! | `paced_body` | a request's body that ends when its client sends too little |
//! | `addresses` | connections and requests of one address |
//!
//! Sizes are checked where they are read; heads and handshakes by `connection`.

mod addresses;
mod guarded;
mod pace;
mod paced_body;

pub(crate) use addresses::{AddressCount, AddressRate};
pub(crate) use guarded::Guarded;
pub(crate) use paced_body::paced;
