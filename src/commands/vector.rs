//! Vector commands, Upstash only. Source: <https://upstash.com/docs/redis/commands/vector/overview>.

use base64_simd::STANDARD;

use super::replies::Fields;
use crate::{Args, Command, FromReply, Reply, Result, Surface, ToArg};

/// How similarity is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorMetric {
    /// By direction; the usual choice for text.
    Cosine,
    /// By distance.
    Euclidean,
    /// By direction and length.
    Dot,
}

impl ToArg for VectorMetric {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Cosine => "COSINE",
            Self::Euclidean => "EUCLIDEAN",
            Self::Dot => "DOT",
        }
        .write(a);
    }
}

/// Whether a query is rather quick or rather thorough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorProfile {
    /// Looks at less.
    Fast,
    /// In between.
    #[default]
    Balanced,
    /// Looks at more.
    Precise,
}

impl ToArg for VectorProfile {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Fast => "FAST",
            Self::Balanced => "BALANCED",
            Self::Precise => "PRECISE",
        }
        .write(a);
    }
}

/// One of the nearest vectors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VectorMatch {
    /// The id.
    pub id: String,
    /// From 0 to 1; the greater, the closer.
    pub score: f64,
}

impl FromReply for VectorMatch {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, score) = <(String, f64)>::from_reply(reply)?;
        Ok(Self { id, score })
    }
}

/// Writes a vector as Upstash reads it from JSON, losing nothing.
struct Vector<'v>(&'v [f32]);

impl ToArg for Vector<'_> {
    fn write(&self, a: &mut Args) {
        let bytes: Vec<u8> = self.0.iter().flat_map(|n| n.to_le_bytes()).collect();
        "BASE64-FP32".write(a);
        STANDARD.encode_to_string(bytes).write(a);
    }
}

fn create(index: impl ToArg, dimension: usize, metric: VectorMetric) -> Command<bool> {
    command!("VECTOR.CREATE")
        .arg(index)
        .arg("DIM")
        .arg(dimension)
        .arg("METRIC")
        .arg(metric)
}

/// Vector commands.
pub trait VectorCommands: Surface {
    /// `VECTOR.ADD`: whether the id is new; else its vector is replaced.
    fn vector_add(self, index: impl ToArg, id: impl ToArg, vector: &[f32]) -> Self::Out<bool> {
        self.submit(
            command!("VECTOR.ADD")
                .arg(index)
                .arg(id)
                .arg(Vector(vector)),
        )
    }
    /// `VECTOR.COUNT`: how many vectors there are; 0 without such an index.
    fn vector_count(self, index: impl ToArg) -> Self::Out<u64> {
        self.submit(command!("VECTOR.COUNT").arg(index))
    }
    /// `VECTOR.CREATE`: makes an index; an error if there is one.
    fn vector_create(
        self,
        index: impl ToArg,
        dimension: usize,
        metric: VectorMetric,
    ) -> Self::Out<bool> {
        self.submit(create(index, dimension, metric))
    }
    /// `VECTOR.CREATE … EXISTSOK`: whether the index is new; an error if it differs.
    fn vector_create_if_missing(
        self,
        index: impl ToArg,
        dimension: usize,
        metric: VectorMetric,
    ) -> Self::Out<bool> {
        self.submit(create(index, dimension, metric).arg("EXISTSOK"))
    }
    /// `VECTOR.DEL`: whether the id was there.
    fn vector_del(self, index: impl ToArg, id: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("VECTOR.DEL").arg(index).arg(id))
    }
    /// `VECTOR.DROP`: whether the index existed.
    fn vector_drop(self, index: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("VECTOR.DROP").arg(index))
    }
    /// `VECTOR.GET`: the vector of an id; `None` when absent.
    fn vector_get(self, index: impl ToArg, id: impl ToArg) -> Self::Out<Option<Vec<f32>>> {
        self.submit(command!("VECTOR.GET").arg(index).arg(id))
    }
    /// `VECTOR.INFO`: dimension and metric; `None` without such an index.
    fn vector_info(self, index: impl ToArg) -> Self::Out<Option<Fields>> {
        self.submit(command!("VECTOR.INFO").arg(index))
    }
    /// `VECTOR.QUERY`: the nearest, best first; at most 1000.
    fn vector_query(
        self,
        index: impl ToArg,
        vector: &[f32],
        most: usize,
        profile: VectorProfile,
    ) -> Self::Out<Vec<VectorMatch>> {
        self.submit(
            command!("VECTOR.QUERY")
                .arg(index)
                .arg("TOPK")
                .arg(most)
                .arg(Vector(vector))
                .arg("PROFILE")
                .arg(profile),
        )
    }
}

impl<S: Surface> VectorCommands for S {}
