//! CloudFormation templates.

use crate::{Options, decode::Reader, fis::Template, node::Node};

pub(crate) fn read(_reader: &mut Reader<'_>, _root: &Node, _options: &Options<'_>) -> Option<Template> {
    None
}

pub(crate) fn read_fragment(_reader: &mut Reader<'_>, _root: &Node, _options: &Options<'_>) -> Option<Template> {
    None
}
