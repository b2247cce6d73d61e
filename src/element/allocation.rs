//! Allocation queries: buffer pools and metas, for upstream and from downstream.

use gst::prelude::*;
use gst_video::{VideoBufferPool, VideoCropMeta, VideoInfo, VideoMeta};

/// A meta API that downstream supports, and its parameters.
pub(super) type OfferedMeta = (glib::Type, Option<gst::Structure>);

/// The metas that downstream supports and that can be offered upstream. This excludes metas that
/// describe memory, and cropping, which this element does not do.
pub(super) fn offered_metas(query: &gst::query::Allocation) -> Vec<OfferedMeta> {
    query
        .allocation_metas()
        .filter(|(api, _)| !gst::meta::meta_api_type_has_tag::<gst::meta::tags::Memory>(*api))
        .filter(|(api, _)| *api != VideoCropMeta::meta_api())
        .map(|(api, parameters)| (api, parameters.map(|parameters| parameters.to_owned())))
        .collect()
}

/// Puts a configured pool first in `query`: the pool of downstream if it accepts the
/// configuration, otherwise our own. Buffers may have any strides if downstream supports
/// `VideoMeta`.
///
/// # Errors
/// Returns why no pool can be configured for the caps of the query.
pub(super) fn decide(query: &mut gst::query::Allocation) -> Result<(), glib::BoolError> {
    let caps =
        query.get_owned().0.ok_or_else(|| glib::bool_error!("the allocation query has no caps"))?;
    let frame_size = u32::try_from(VideoInfo::from_caps(&caps)?.size())
        .map_err(|_| glib::bool_error!("frames are too large for a buffer pool"))?;
    let (allocator, parameters) = query.allocation_params().next().unwrap_or_default();
    let offered = query.allocation_pools().next();
    let (pool, size, min, max) = match &offered {
        Some((pool, size, min, max)) => (pool.clone(), (*size).max(frame_size), *min, *max),
        None => (None, frame_size, 0, 0),
    };
    // One more, because the last output is kept for reuse.
    let min = min.saturating_add(1);
    let max = if max == 0 { 0 } else { max.max(min) };
    let video_meta = query.find_allocation_meta::<VideoMeta>().is_some();

    let configure = |pool: &gst::BufferPool| {
        let mut config = pool.config();
        config.set_params(Some(&caps), size, min, max);
        config.set_allocator(allocator.as_ref(), Some(&parameters));
        if video_meta {
            config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META.as_str());
        }
        pool.set_config(config)
    };
    let pool = match pool {
        Some(pool) if configure(&pool).is_ok() => pool,
        _ => {
            let own = VideoBufferPool::new().upcast();
            configure(&own)?;
            own
        }
    };
    if offered.is_some() {
        query.set_nth_allocation_pool(0, Some(&pool), size, min, max);
    } else {
        query.add_allocation_pool(Some(&pool), size, min, max);
    }
    Ok(())
}

/// Answers the allocation query of upstream: it may use any strides and `metas`, and needs `kept`
/// buffers more, which this element holds while frames are in flight.
pub(super) fn propose(query: &mut gst::query::Allocation, metas: &[OfferedMeta], kept: u32) {
    let size = query.get_owned().0.and_then(|caps| super::caps::frame_size(&caps));
    if let Some(size) = size.and_then(|size| u32::try_from(size).ok())
        && query.allocation_pools().next().is_none()
    {
        query.add_allocation_pool(None::<&gst::BufferPool>, size, kept, 0);
    }
    query.add_allocation_meta::<VideoMeta>(None);
    for (api, parameters) in metas {
        add_meta(query, *api, parameters.as_deref());
    }
}

/// `add_allocation_meta` for a type that is only known at run time.
fn add_meta(
    query: &mut gst::query::Allocation,
    api: glib::Type,
    parameters: Option<&gst::StructureRef>,
) {
    use glib::translate::IntoGlib;
    let parameters = parameters.map_or(std::ptr::null(), gst::StructureRef::as_ptr);
    // SAFETY: the query is writable, because it is borrowed mutably; `api` is a meta API type,
    // because it comes from another allocation query; the callee copies the structure.
    unsafe {
        gst::ffi::gst_query_add_allocation_meta(query.as_mut_ptr(), api.into_glib(), parameters);
    }
}
