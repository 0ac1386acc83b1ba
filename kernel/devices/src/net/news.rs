//! What the network has to say to the log: seldom, for whoever is on the wire decides how often it happens.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::{Lease, Unfit};
use crate::Fault;

/// Something that an operator wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A lease is used.
    Lease(Lease),
    /// A lease was offered that is of no use; the machine has no address.
    Unfit(Unfit),
    /// The lease is over, and there is no new one yet.
    Lost,
    /// The card is not used any more.
    Broken(Fault),
}

impl fmt::Display for News {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease(lease) => {
                write!(to, "{}/{}", lease.address, lease.prefix)?;
                match (lease.router, lease.unfit_router) {
                    (Some(router), _) => write!(to, " by DHCP, router {router}"),
                    (None, Some(unfit)) => {
                        write!(to, " by DHCP, no router: {unfit} is no other host of this network")
                    }
                    (None, None) => to.write_str(" by DHCP, no router"),
                }
            }
            Self::Unfit(unfit) => write!(to, "a lease of DHCP is not used: {unfit}"),
            Self::Lost => to.write_str("the lease of DHCP is over"),
            Self::Broken(fault) => write!(to, "the card is not used any more: {fault}"),
        }
    }
}

/// Most news of [`SPAN`]. The log has room for some hundred lines: this many in that time leave it a day.
const MOST: usize = 4;
/// The time that they are counted over.
const SPAN: Duration = Duration::from_secs(600);

/// News that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    untold: Vec<News>,
    since: Duration,
    count: usize,
}

impl Notices {
    /// Keeps news, unless there was too much of it lately.
    pub(crate) fn note(&mut self, now: Duration, news: News) {
        if now.saturating_sub(self.since) >= SPAN {
            (self.since, self.count) = (now, 0);
        }
        if self.count < MOST {
            self.count += 1;
            self.untold.push(news);
        }
    }

    /// Keeps news that comes once.
    pub(crate) fn note_once(&mut self, news: News) {
        self.untold.push(news);
    }

    /// All that was kept, the oldest first.
    pub(crate) fn take(&mut self) -> Vec<News> {
        core::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_the_wire_does_not_fill_the_log() {
        let mut notices = Notices::default();
        for second in 0..1200 {
            notices.note(Duration::from_secs(second), News::Lost);
        }
        notices.note_once(News::Broken(Fault::Broken));
        assert_eq!((notices.take().len(), notices.take().len()), (2 * MOST + 1, 0));
    }
}
