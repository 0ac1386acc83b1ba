//! The first serial line: a 16550 at port 0x3f8, which QEMU's machines and most boards have.
//!
//! Output waits for the line and never fails. Input is read from the chip's FIFO; its interrupt (IRQ 4) only ends a wait. A host
//! that types faster than the kernel reads is held back by the FIFO of QEMU's side.

use core::fmt;

use crate::port::Port;

/// IRQ of the first serial line.
pub const IRQ: u8 = 4;

const DATA: Port = Port::new(0x3f8);
const INTERRUPTS: Port = Port::new(0x3f9);
const FIFO: Port = Port::new(0x3fa);
const LINE: Port = Port::new(0x3fb);
const MODEM: Port = Port::new(0x3fc);
const STATUS: Port = Port::new(0x3fd);

const RECEIVED: u8 = 1;
const EMPTY: u8 = 1 << 5;
/// Reads of the status before a byte is given up: a chip that is not there reads 0xff or 0.
const PATIENCE: u32 = 1_000_000;

/// Sets the chip up: 115,200 baud, 8 bits, no parity, one stop bit, FIFO on, interrupts off.
pub(crate) fn start() {
    INTERRUPTS.write8(0);
    LINE.write8(0x80);
    DATA.write8(1);
    INTERRUPTS.write8(0);
    LINE.write8(0x03);
    FIFO.write8(0x07);
    MODEM.write8(0x0b);
}

/// From now on a received byte raises [`IRQ`].
pub fn listen() {
    INTERRUPTS.write8(RECEIVED);
}

/// A byte that was received, if there is one.
pub fn receive() -> Option<u8> {
    // A chip that is not there reads as all ones.
    let status = STATUS.read8();
    (status != 0xff && status & RECEIVED != 0).then(|| DATA.read8())
}

/// Sends bytes as they are.
pub fn send(bytes: &[u8]) {
    for byte in bytes {
        for _ in 0..PATIENCE {
            if STATUS.read8() & EMPTY != 0 {
                break;
            }
        }
        DATA.write8(*byte);
    }
}

/// The line as a place to write text: ends of lines become CR LF.
#[derive(Debug, Clone, Copy)]
pub struct Line;

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) => {
                    send(line.as_bytes());
                    send(b"\r\n");
                }
                None => send(part.as_bytes()),
            }
        }
        Ok(())
    }
}
