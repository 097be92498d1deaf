//! One node that has to do with many: `[a]---[front]===[many]`.
//!
//! The crowd is the same for whoever asks: only the node that asks differs. Each contender has an
//! identity that the crowd has not met, and settles before it asks.

use std::thread;

use anyhow::Result;
use planetary_lab::{Answers, Crowd, Deadline, Identity, Lab};

use super::{Bench, Contender, PATIENCE_SECONDS, SETTLING, step};
use crate::figures::{Ground, Quantity, Share};
use crate::samples::quantile;

/// Identities of those that ask, out of the way of the crowd's and the lab's own.
const FIRST_NUMBER: u16 = 5000;

impl Bench {
    /// Asks one, a hundred and so on of a crowd, each contender in turn.
    pub(crate) fn destinations(
        &mut self,
        lab: &Lab,
        contenders: &[Contender<'_>],
        counts: &[u16],
    ) -> Result<()> {
        lab.use_congestion_control(self.congestion.name());
        let (a, b) = (lab.host("a")?, lab.host("b")?);
        let uri = lab.wire(&a, &b)?.ends()[1].uri("tcp", 9001);
        let most = counts.iter().copied().max().unwrap_or_default();
        let crowd = Crowd::start(lab, &b, &uri, most)?;
        let pairs = contenders.iter().flat_map(|who| counts.iter().map(move |count| (who, count)));
        for ((contender, count), number) in pairs.zip(FIRST_NUMBER..) {
            contender.choose_programs(lab);
            let node = contender.node(lab, contender.kinds()[0], &a)?.called(&format!("a{number}"));
            let node = lab.add(node.identity(Identity::numbered(number)).peer(&uri))?;
            node.start()?;
            let deadline = Deadline::seconds(PATIENCE_SECONDS);
            node.wait_for_link(crowd.front(), deadline)?;
            thread::sleep(SETTLING);
            let asked = &crowd.addresses()[..usize::from(*count)];
            let answers = step(|| Answers::of(&a, asked, deadline))?;
            if answers.value.missing > 0 {
                println!("  note: {} of {count} did not answer", answers.value.missing);
            }
            for share in [Share::Half, Share::All] {
                if let Some(value) = quantile(&answers.value.sorted_seconds, share.quantile()) {
                    let figure = Ground::Crowd(*count).at(Quantity::Answered(share));
                    self.add(figure, contender.subject, value, &answers);
                }
            }
            node.stop()?;
        }
        Ok(())
    }
}
