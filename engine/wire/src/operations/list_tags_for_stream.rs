//! ListTagsForStream: lists the tags of a stream, page by page.

use crate::call::call;
use crate::shapes::{BOOLEAN, STREAM_ARN, STREAM_ID, STREAM_NAME, TAG_KEY, TAG_LIMIT, list};
use crate::structure::structure;
use crate::structures::Tag;

structure! {
    /// A request of ListTagsForStream.
    ListTagsForStream {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        exclusive_start_tag_key: Option<String> => "ExclusiveStartTagKey", TAG_KEY;
        limit: Option<i32> => "Limit", TAG_LIMIT;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of ListTagsForStream.
    ListTagsForStreamOutput {
        tags: Vec<Tag> => "Tags", list(&Tag::SHAPE);
        has_more_tags: bool => "HasMoreTags", BOOLEAN;
    }
}

call!(ListTagsForStream => ListTagsForStreamOutput);
