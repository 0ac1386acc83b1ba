//! Why a pull ended early, in words.

use crate::http::TransferError;
use plyos_plan::fetch::{Fault, Reason};

/// The error of a reason; `noted` is what was last seen of that blob, which says more where it fits.
pub(super) fn error(what: String, reason: Reason, noted: Option<TransferError>) -> TransferError {
    let length = |why: String| TransferError::Length { what: what.clone(), why };
    match (reason, noted) {
        (
            Reason::Lost { .. },
            Some(
                noted @ (TransferError::Network { .. }
                | TransferError::Refused { .. }
                | TransferError::File { .. }),
            ),
        ) => noted,
        (Reason::Lost { fault, .. }, _) => {
            let cause = match fault {
                Fault::Broken => "the connection broke",
                Fault::Stalled => "timed out",
            };
            TransferError::Network { what, cause: cause.to_owned() }
        }
        (Reason::Status { status, .. }, Some(TransferError::Refused { what, status: noted, detail }))
            if noted == status =>
        {
            TransferError::Refused { what, status, detail }
        }
        (Reason::Status { status, .. }, _) => TransferError::Refused { what, status, detail: String::new() },
        (Reason::Patience { seconds, .. }, _) => {
            let cause = format!("the server is busy and says to come back in {seconds} s");
            TransferError::Network { what, cause }
        }
        (Reason::NotFound { .. }, _) => TransferError::NotFound { what },
        (Reason::Short { .. }, _) => length("less came than was asked for, again and again".into()),
        (Reason::OtherRange { stated, .. }, _) => {
            let stated =
                stated.map_or_else(|| "none".to_owned(), |range| format!("{}-{}", range.first, range.last));
            length(format!("another range came than the one asked for ({stated})"))
        }
        (Reason::OtherLength { stated: Some(stated), .. }, _) => {
            length(format!("it has {stated} bytes there, which is not what its manifest says"))
        }
        (Reason::OtherLength { stated: None, .. }, _) => {
            length("it is shorter there than its manifest says".into())
        }
        (Reason::Coded { .. }, _) => {
            length("it came with a Content-Encoding, which was not asked for; turn that off there".into())
        }
        (Reason::WrongBytes { .. }, _) => length("its bytes are wrong".into()),
        (Reason::Halted, _) => TransferError::Network { what, cause: "it was ended".into() },
    }
}
