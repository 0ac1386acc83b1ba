//! The queue of a disk: what is under way in it, the bytes of each request, and what an answer says.

use crate::{Device, Fault, Ticket};

use super::error::{Activity, Reason};
use super::pieces::Piece;
use super::request::{Ask, DONE, head};
use super::{DEPTH, REQUESTS};

/// The device, and how it behaves.
#[derive(Debug)]
pub(super) struct Queue<D> {
    pub device: D,
    /// Whether waiting ended last without an answer.
    pub silent: bool,
    /// By ticket: whether the request in this slot is a write that the device has not ended.
    pub writes: [bool; DEPTH],
}

/// Where data goes or comes from.
pub(super) enum Data<'a> {
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

impl Data<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::In(out) => out.len(),
            Self::Out(bytes) => bytes.len(),
        }
    }

    pub fn activity(&self) -> Activity {
        match self {
            Self::In(_) => Activity::Read,
            Self::Out(_) => Activity::Write,
        }
    }
}

/// An answer, and whose.
pub(super) struct Answer {
    pub ticket: Ticket,
    pub written: usize,
}

impl<D: Device> Queue<D> {
    /// The next answer, to whichever request.
    pub fn finished(&mut self) -> Result<Option<Answer>, Reason> {
        let Some(finished) = self.device.finished(REQUESTS).map_err(Reason::Fault)? else { return Ok(None) };
        self.silent = false;
        if let Some(write) = self.writes.get_mut(finished.ticket.index()) {
            *write = false;
        }
        Ok(Some(Answer { ticket: finished.ticket, written: finished.written }))
    }
}

pub(super) fn submit<D: Device>(device: &mut D, piece: &Piece, data: &Data<'_>) -> Result<Ticket, Fault> {
    match data {
        Data::In(_) => device.submit(REQUESTS, &[&head(Ask::Read, piece.sector)], &[piece.length, 1]),
        Data::Out(bytes) => {
            let range = piece.to..piece.to.saturating_add(piece.take);
            let sectors =
                bytes.get(range).filter(|sectors| sectors.len() == piece.length).ok_or(Fault::TooLarge)?;
            device.submit(REQUESTS, &[&head(Ask::Write, piece.sector), sectors], &[1])
        }
    }
}

/// Checks an answer and copies what it brought.
pub(super) fn take_in<D: Device>(
    device: &mut D,
    ticket: Ticket,
    written: usize,
    piece: &Piece,
    data: &mut Data<'_>,
) -> Result<(), Reason> {
    match data {
        Data::Out(_) => status(device, ticket, written, 0),
        Data::In(out) => {
            status(device, ticket, written, piece.length)?;
            let range = piece.to..piece.to.saturating_add(piece.take);
            let place = out.get_mut(range).ok_or(Reason::Fault(Fault::TooLarge))?;
            device.copy_out(REQUESTS, ticket, piece.skip, place).map_err(Reason::Fault)
        }
    }
}

/// Whether the answer with `before` bytes of data ends in a status that means success.
pub(super) fn status<D: Device>(
    device: &mut D,
    ticket: Ticket,
    written: usize,
    before: usize,
) -> Result<(), Reason> {
    let mut status = [0];
    device.copy_out(REQUESTS, ticket, before, &mut status).map_err(Reason::Fault)?;
    match status {
        [DONE] if written <= before => Err(Reason::Short),
        [DONE] => Ok(()),
        [other] => Err(Reason::Failed(other)),
    }
}
