//! One adapter for each port of `kinora-actors`: where the leaves of the workspace meet.
//!
//! An adapter converts types and nothing else; rules live on one side or the other.

mod clock;
mod dancer_source;
mod elsewhere;
mod event_file;
mod event_rows;
mod fault;
mod http_ports;
mod live_clock;
mod machine;
mod marks;
mod media_source;
mod picture;
mod pose_model;
mod probe;
mod redirect;
mod rtsp_source;
mod sampler;
mod source_address;
mod stream_log;
mod tracker;

pub(crate) use clock::SystemClock;
pub(crate) use dancer_source::DancerSource;
pub(crate) use elsewhere::Elsewhere;
pub(crate) use event_file::EventFile;
pub(crate) use event_rows::EventRows;
pub(crate) use fault::{FFMPEG_LACKS_IT, Fault, INVALID};
pub(crate) use http_ports::{
    DatabaseHealth, HttpLog, JournalHealth, LiveView, StoredAccounts, StoredHistory, ThreadsHealth,
};
pub(crate) use machine::{LastUtilization, Machine};
pub(crate) use marks::StripReader;
pub(crate) use pose_model::CandlePoseModel;
pub(crate) use probe::{Findings, Look, Video, probe};
pub(crate) use rtsp_source::KEY_FRAME_PATIENCE;
pub(crate) use sampler::KernelSampler;
pub(crate) use source_address::{AddressError, SourceAddress};
pub(crate) use stream_log::stream_log;
pub(crate) use tracker::BlazePoseTracker;
