//! What clients ask about the node itself.

use std::time::{SystemTime, UNIX_EPOCH};

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::super::proto::gossip::gossip_server::Gossip;
use super::super::proto::gossip::member_info::VNodeState;
use super::super::proto::gossip::{ClusterInfo, EndPoint, MemberInfo};
use super::super::proto::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptions;
use super::super::proto::persistent_subscriptions::{ListReq, ListResp};
use super::super::proto::server_features::server_features_server::ServerFeatures;
use super::super::proto::server_features::{SupportedMethod, SupportedMethods};
use super::super::proto::shared;

/// The version of the protocol that the node serves; clients read digits and dots only.
const SERVER_VERSION: &str = "25.1.0";
const STREAMS_SERVICE: &str = "event_store.client.streams.streams";
/// Only what is served: clients fall back, or say that a feature is missing, by this list.
const STREAMS_METHODS: [&str; 5] = ["read", "append", "delete", "tombstone", "batchappend"];

/// A cluster of one.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) instance: Uuid,
    /// Where clients that discover are sent.
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[tonic::async_trait]
impl ServerFeatures for Cluster {
    async fn get_supported_methods(
        &self,
        _request: Request<shared::Empty>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let method = |name: &str, service: &str| SupportedMethod {
            method_name: name.to_owned(),
            service_name: service.to_owned(),
            features: Vec::new(),
        };
        let mut methods: Vec<_> = STREAMS_METHODS.iter().map(|name| method(name, STREAMS_SERVICE)).collect();
        methods.push(method("read", "event_store.client.gossip.gossip"));
        methods.push(method("getsupportedmethods", "event_store.client.server_features.serverfeatures"));
        let event_store_server_version = SERVER_VERSION.to_owned();
        Ok(Response::new(SupportedMethods { methods, event_store_server_version }))
    }
}

#[tonic::async_trait]
impl Gossip for Cluster {
    async fn read(&self, _request: Request<shared::Empty>) -> Result<Response<ClusterInfo>, Status> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let member = MemberInfo {
            instance_id: Some(shared::Uuid::structured(self.instance)),
            time_stamp: i64::try_from(now.as_nanos() / 100).unwrap_or(i64::MAX),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint { address: self.host.clone(), port: self.port.into() }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}

/// The empty list of a feature that is not served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoPersistentSubscriptions;

#[tonic::async_trait]
impl PersistentSubscriptions for NoPersistentSubscriptions {
    async fn list(&self, _request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        Ok(Response::new(ListResp {}))
    }
}
