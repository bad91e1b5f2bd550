//! DescribeStreamSummary: tells of a stream without its shards.

use crate::call::call;
use crate::shapes::{STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;
use crate::structures::StreamDescriptionSummary;

structure! {
    /// A request of DescribeStreamSummary.
    DescribeStreamSummary {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of DescribeStreamSummary.
    DescribeStreamSummaryOutput {
        stream_description_summary: StreamDescriptionSummary =>
            "StreamDescriptionSummary", StreamDescriptionSummary::SHAPE;
    }
}

call!(DescribeStreamSummary => DescribeStreamSummaryOutput);
