//! The layout of each record and each enum: fields in their order, a tag before each variant. Tags are
//! never used again.

use super::cursor::{Layout, Reader};
use crate::placement::{Member as Share, State};
use crate::policy::Malformed;
use crate::policy::coordinator::{Answer, Excuse, Excused};
use crate::policy::local::{Armed, Closed, Deadline, Facts, Report, Verdict};
use crate::policy::log::command::{Cause, Content, Member, Placement, Stamp, Withdrawal};
use crate::policy::log::{
    Action, Change, Changed, Command, Finished, Outcome, Pending, Refusal, Revision, Trial,
};
use crate::policy::{MachineBoot, Version};
use wire::Time;

macro_rules! record {
    ($name:ident { $($field:ident),* }) => {
        impl Layout for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self { $($field: Layout::read(r)?),* })
            }
        }
    };
}

macro_rules! variants {
    ($name:ident { $($tag:literal = $variant:ident { $($field:ident),* }),* $(,)? }) => {
        impl Layout for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self { $(
                    Self::$variant { $($field),* } => {
                        out.push($tag);
                        $($field.write(out);)*
                    }
                )* }
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                match u8::read(r)? {
                    $($tag => Ok(Self::$variant { $($field: Layout::read(r)?),* }),)*
                    _ => Err(Malformed::Tag),
                }
            }
        }
    };
}

impl Layout for MachineBoot {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Layout::read(r).map(Self)
    }
}

impl Layout for Time {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Layout::read(r).map(Self)
    }
}

impl Layout for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(r)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value),
        }
    }
}

record!(Version { epoch, source });
record!(Stamp { author, wall });
record!(Command { request, stamp, action });
record!(Member { kind, address, name });
record!(Placement { owner, term });
record!(Share { node, weight, rack, state });
record!(Revision { version, base, file, comment, stamp });
record!(Trial { epoch, fallback, revert, confirm });
record!(Pending { proposal, request, revision, confirm });
record!(Finished { request, index, outcome });
record!(Change { index, stamp, outcome });
record!(Deadline { machine, at, wall, span });
record!(Armed { trial, deadline, alone });
record!(Facts { decided, runs, trial });
record!(Closed { decided, why });
record!(Excused { node, why });
record!(Report { node, settled, runs, proposal, verdict, closed });

variants!(Action {
    1 = Propose { base, content, file, comment, confirm },
    2 = Switch { proposal },
    3 = Withdraw { proposal, who, why },
    4 = Confirm { epoch },
    5 = Revert { epoch, cause },
    6 = SetMember { node, member },
    7 = RemoveMember { node },
    8 = NumberZones { zones },
    9 = SetPlacement { placement },
    10 = SetSetting { key, value },
    11 = SetSecret { name, secret },
    12 = Recover { generation, survivor },
    13 = SetShares { shares },
});

variants!(Content { 1 = Text { text }, 2 = Again { of } });

variants!(Withdrawal {
    1 = Refused { why },
    2 = Unanswered {},
    3 = NobodyTried {},
    4 = Unwanted {},
});

variants!(Cause { 1 = Deadline {}, 2 = Rollback {} });

variants!(Outcome {
    1 = Proposed { proposal, epoch },
    2 = Committed { epoch, reverts_as },
    3 = Withdrawn { proposal, who, why },
    4 = Confirmed { epoch },
    5 = Reverted { epoch, now, cause },
    6 = Changed { what },
    7 = Refused { why },
});

variants!(Changed {
    1 = Member { node },
    2 = Left { node },
    3 = Zones { numbered },
    4 = Placement { term },
    5 = Setting { key },
    6 = Secret { name },
    7 = Recovered { generation },
    8 = Shares { placement },
});

variants!(Refusal {
    1 = Conflict { running },
    2 = Busy { proposal },
    3 = OnTrial { epoch },
    4 = NoSuchRevision { epoch },
    5 = NoFallback {},
    6 = ConfirmTime {},
    7 = NotPending { running },
    8 = NotOnTrial { epoch, running },
    9 = NoSuchMember { node },
    10 = Full {},
    11 = StaleTerm { term },
    12 = StaleGeneration { generation },
    13 = Malformed {},
    14 = Witness { node },
    15 = Weight { node },
    16 = NoPlacementKey {},
});

impl Layout for State {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::In => 1,
            Self::Draining => 2,
            Self::Gone => 3,
        });
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(r)? {
            1 => Ok(Self::In),
            2 => Ok(Self::Draining),
            3 => Ok(Self::Gone),
            _ => Err(Malformed::Tag),
        }
    }
}

variants!(Verdict { 1 = Ready {}, 2 = Refused { why } });

variants!(Answer {
    1 = Done { outcome, took, excused },
    2 = Unsettled { outcome, took, missing },
    3 = TooLate { epoch },
    4 = Unnumbered {},
    5 = NotLeading {},
    6 = Full {},
    7 = Unknown { down },
});

impl Layout for Excuse {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Down => out.push(1),
            Self::Closed(why) => {
                out.push(2);
                why.write(out);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(r)? {
            1 => Ok(Self::Down),
            2 => Layout::read(r).map(Self::Closed),
            _ => Err(Malformed::Tag),
        }
    }
}
