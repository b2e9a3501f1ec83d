//! Requests and answers of JavaScript as those of Rust.

use super::event::Event;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultController, ReadableStreamDefaultReader};

/// A request as the router takes it; `None` where it cannot be one.
pub(super) fn request_of(request: &web_sys::Request) -> Option<Request<Body>> {
    let url = request.url();
    let (_, rest) = url.split_once("://")?;
    let target = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
    let target = target.split('#').next().unwrap_or_default();
    let mut of = Request::new(body_of(request));
    *of.method_mut() = Method::from_bytes(request.method().as_bytes()).ok()?;
    *of.uri_mut() = target.parse::<Uri>().ok()?;
    let entries = js_sys::try_iter(&request.headers()).ok().flatten()?;
    for entry in entries {
        let entry: Array = entry.ok()?.unchecked_into();
        let [name, value] = [entry.get(0), entry.get(1)].map(|text| text.as_string());
        let name = HeaderName::from_bytes(name?.as_bytes()).ok()?;
        of.headers_mut().append(name, header_value(&value?)?);
    }
    Some(of)
}

/// A header's bytes, of which each is one character in JavaScript.
fn header_value(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

fn body_of(request: &web_sys::Request) -> Body {
    let Some(body) = request.body() else {
        return Body::empty();
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let pieces = stream::try_unfold(SendWrapper::new(reader), |reader| {
        SendWrapper::new(async move {
            let read = JsFuture::from(reader.read()).await;
            let read = read.map_err(|_| axum::Error::new("the request's body broke off"))?;
            let field = |name: &str| Reflect::get(&read, &name.into()).unwrap_or_default();
            if field("done").is_truthy() {
                return Ok::<_, axum::Error>(None);
            }
            let piece: Bytes = Uint8Array::new(&field("value")).to_vec().into();
            Ok(Some((piece, reader)))
        })
    });
    Body::from_stream(pieces)
}

fn construct(class: &str, arguments: &Array) -> Result<JsValue, JsValue> {
    let class: Function = Reflect::get(&js_sys::global(), &class.into())?.dyn_into()?;
    Reflect::construct(&class, arguments)
}

/// An answer as the platform takes it: whole where its length is known, else as a stream.
pub(super) async fn response_of(
    event: &Rc<Event>,
    response: Response<Body>,
) -> Result<JsValue, JsValue> {
    let (parts, body) = response.into_parts();
    let headers = construct("Headers", &Array::new())?;
    let headers: web_sys::Headers = headers.unchecked_into();
    let is_whole = body.size_hint().exact().is_some();
    for (name, value) in &parts.headers {
        if *name == header::CONTENT_LENGTH || *name == header::CONNECTION {
            continue;
        }
        let value: String = value
            .as_bytes()
            .iter()
            .map(|byte| char::from(*byte))
            .collect();
        headers.append(name.as_str(), &value)?;
    }
    let init = Object::new();
    Reflect::set(&init, &"status".into(), &parts.status.as_u16().into())?;
    Reflect::set(&init, &"headers".into(), &headers)?;
    let body = if is_whole {
        let broke = |_| JsValue::from_str("an answer broke off");
        let bytes = body.collect().await.map_err(broke)?.to_bytes();
        // Some statuses allow no body, not even an empty one.
        if bytes.is_empty() {
            JsValue::NULL
        } else {
            Uint8Array::from(&*bytes).into()
        }
    } else {
        stream_of(event, body)?
    };
    construct("Response", &Array::of2(&body, &init))
}

/// A body that is asked for its next piece when the platform has room for it.
fn stream_of(event: &Rc<Event>, body: Body) -> Result<JsValue, JsValue> {
    let body = Rc::new(RefCell::new(Some(body)));
    let left = Rc::clone(&body);
    let puller = Rc::clone(event);
    let pull = Closure::<dyn Fn(ReadableStreamDefaultController) -> js_sys::Promise>::new(
        move |controller: ReadableStreamDefaultController| {
            let left = Rc::clone(&left);
            puller.promise(async move {
                let Some(mut body) = left.take() else {
                    return Ok(JsValue::UNDEFINED);
                };
                loop {
                    match body.frame().await {
                        Some(Ok(frame)) => {
                            // Trailers have no place here.
                            let Ok(data) = frame.into_data() else {
                                continue;
                            };
                            left.replace(Some(body));
                            controller.enqueue_with_chunk(&Uint8Array::from(&*data))?;
                        }
                        Some(Err(_)) => return Err(JsValue::from_str("an answer broke off")),
                        None => controller.close()?,
                    }
                    return Ok(JsValue::UNDEFINED);
                }
            })
        },
    );
    let ended = Rc::clone(event);
    let cancel = Closure::<dyn Fn()>::new(move || {
        drop(body.take());
        ended.abort();
    });
    let source = Object::new();
    Reflect::set(&source, &"pull".into(), &pull.into_js_value())?;
    Reflect::set(&source, &"cancel".into(), &cancel.into_js_value())?;
    construct("ReadableStream", &Array::of1(&source))
}
