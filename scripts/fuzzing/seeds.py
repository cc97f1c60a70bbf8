"""Inputs to begin with: one of each kind of request, reply and stream, and recorded ones.

Every form begins with those of all forms, so that one added tomorrow has some.
"""

import json
from pathlib import Path

from common.llm.paths import Endpoint, FormName, resolve

LARGEST_BYTES = 64 * 1024

REQUESTS = (
    (
        b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}],"stream":true,"n":2,'
        b'"max_completion_tokens":9,"max_tokens":8,"stream_options":{"include_usage":false}}'
    ),
    b'{"model":"claude-sonnet-5","max_tokens":64,"stream":true,"messages":[]}',
    b'{"model":"gpt-5.6-sol","input":"hi","max_output_tokens":64,"background":true,"stream":true}',
    (
        b'{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"candidateCount":2,'
        b'"maxOutputTokens":8},"generation_config":{"max_output_tokens":9}}'
    ),
    (
        b'{"model":"models/gemini-3-flash-preview","input":[{"type":"user_input","content":'
        b'[{"type":"text","text":"hi"}]},{"type":"function_result","result":{"items":[]}}],'
        b'"generation_config":{"max_output_tokens":9,"tool_choice":"any"},"background":false,'
        b'"tools":[{"type":"function","name":"f"}],"service_tier":"flex","stream":true,'
        b'"previous_interaction_id":null,"agent":null}'
    ),
    b'{"model":"text-embedding-3-small","input":["a","b"]}',
    b'{"model":"gpt-4o-mini-tts","input":"hi","voice":"ash","stream_format":"sse"}',
    (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n\x00\x01\r\n--b--\r\n"
    ),
    b'{ "stream" : true , "caf\\u00e9" : "\xc3\xa9", "stream":true,"model":"\xf0\x9f\x98\x80" }',
)

_CHAT = (
    b'{"model":"gpt-5-mini","service_tier":"flex","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"content":"hi"}}],"usage":{"prompt_tokens":90,"completion_tokens":50,'
    b'"prompt_tokens_details":{"cached_tokens":30,"cache_write_tokens":20,"audio_tokens":5,'
    b'"image_tokens":5},"completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":3}}}'
)
_MESSAGE = (
    b'{"type":"message","model":"claude-opus-4-8","stop_reason":"end_turn","usage":{'
    b'"input_tokens":5,"output_tokens":9,"cache_creation_input_tokens":30,'
    b'"cache_read_input_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":10,'
    b'"ephemeral_1h_input_tokens":20},"service_tier":"standard","inference_geo":"us",'
    b'"output_tokens_details":{"thinking_tokens":3},"server_tool_use":{"web_search_requests":2},'
    b'"iterations":[{"type":"advisor_message","model":"claude-sonnet-5","input_tokens":7,'
    b'"output_tokens":2},{"type":"message","input_tokens":5,"output_tokens":9}]}}'
)
_RESPONSE = (
    b'{"object":"response","status":"completed","model":"gpt-5.2","background":false,'
    b'"service_tier":"default","incomplete_details":{"reason":"max_output_tokens"},'
    b'"tools":[{"type":"web_search_preview"}],"output":[{"type":"web_search_call",'
    b'"action":{"type":"search"}},{"type":"file_search_call"},{"type":"code_interpreter_call",'
    b'"container_id":"c1"},{"type":"shell_call","environment":{"container_id":"c2"}},'
    b'{"type":"image_generation_call"}],"tool_usage":{"web_search":{"num_requests":1}},'
    b'"usage":{"input_tokens":90,"output_tokens":50,"input_tokens_details":{"cached_tokens":30,'
    b'"cache_write_tokens":20,"cache_write_tokens_details":{"ttl_12h_tokens":9}},'
    b'"output_tokens_details":{"reasoning_tokens":9}}}'
)
_CONTENT = (
    b'{"candidates":[{"index":0,"finishReason":"STOP","content":{"parts":[{"text":"hi"},'
    b'{"functionCall":{"args":{"a":[1]}}}]},"groundingMetadata":{"webSearchQueries":["a","b"],'
    b'"groundingChunks":[{"maps":{}}]}}],"promptFeedback":{"blockReason":"SAFETY"},'
    b'"modelVersion":"models/gemini-2.5-flash","usageMetadata":{"promptTokenCount":90,'
    b'"cachedContentTokenCount":30,"candidatesTokenCount":9,"thoughtsTokenCount":4,'
    b'"toolUsePromptTokenCount":5,"serviceTier":"SERVICE_TIER_FLEX","trafficType":"ON_DEMAND",'
    b'"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9},{"modality":"VIDEO",'
    b'"tokenCount":8}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":4}],'
    b'"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":2}]}}'
)
_INTERACTION = (
    b'{"id":"v1_1","status":"completed","object":"interaction","service_tier":"standard",'
    b'"model":"models/gemini-3-flash-preview","steps":[{"type":"google_search_call","arguments":'
    b'{"queries":["a","b"]}},{"type":"google_maps_call"}],"usage":{"total_tokens":128,'
    b'"total_input_tokens":90,"total_cached_tokens":30,"total_output_tokens":20,'
    b'"total_tool_use_tokens":5,"total_thought_tokens":13,"input_tokens_by_modality":'
    b'[{"modality":"audio","tokens":9},{"modality":"video","tokens":8}],'
    b'"cached_tokens_by_modality":[{"modality":"audio","tokens":4}],"output_tokens_by_modality":'
    b'[{"modality":"image","tokens":2}],"grounding_tool_count":[{"type":"google_search",'
    b'"count":3},{"type":"new","count":1}]}}'
)
REPLIES = (
    _CHAT,
    _MESSAGE,
    _RESPONSE,
    _CONTENT,
    _INTERACTION,
    b'{"id":"v1_1","status":"in_progress","agent":"deep-research-preview-04-2026"}',
    (
        b'{"data":[{"embedding":[0.1,2]}],"model":"text-embedding-3-small","usage":'
        b'{"prompt_tokens":4,"total_tokens":4}}'
    ),
    b'{"embeddings":[{"values":[1]}],"usageMetadata":{"promptTokenCount":4}}',
    (
        b'{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":9,"output_tokens":90,'
        b'"input_tokens_details":{"image_tokens":3,"text_tokens":6}}}'
    ),
    b'{"text":"hi","usage":{"type":"duration","seconds":2.5}}',
    (
        b'{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":4,'
        b'"input_token_details":{"text_tokens":0,"audio_tokens":14}}}'
    ),
    b'{"error":{"message":"no","type":"invalid_request_error","code":null}}',
)

_CHAT_CHUNK = (
    b'data: {"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"hi"},'
    b'"finish_reason":null}],"usage":null}\n\n'
)
STREAMS = (
    _CHAT_CHUNK * 5 + b"data: " + _CHAT + b"\n\n"
    b'data: {"model":"gpt-5-mini","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    b"\n\ndata: [DONE]\n\n",
    b'event: message_start\r\ndata: {"type":"message_start","message":' + _MESSAGE + b"}\r\n\r\n"
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"hi"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":7,"cache_creation_input_tokens":3}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b'data: {"type":"response.created","response":{"status":"in_progress"}}\n\n'
    b'data: {"type":"response.output_text.delta","delta":"h\\"i"}\n\n'
    b'data: {"type":"response.output_item.done","item":{"type":"web_search_call"}}\n\n'
    b'data: {"type":"response.completed","response":' + _RESPONSE + b"}\n\n",
    b"data: " + _CONTENT + b"\r\n\r\ndata: " + _CONTENT + b"\r\n\r\n",
    b'event: interaction.created\ndata: {"interaction":{"id":"v1_1","status":"in_progress"},'
    b'"event_type":"interaction.created"}\n\n'
    b'event: step.start\ndata: {"index":0,"step":{"type":"thought"},"event_type":"step.start"}\n\n'
    b'event: step.delta\ndata: {"index":0,"delta":{"text":"hi","type":"text"},"metadata":'
    b'{"total_usage":{"total_input_tokens":3,"total_output_tokens":4}},"event_type":"step.delta"}'
    b'\n\nevent: step.stop\ndata: {"index":0,"usage":{"total_input_tokens":3},"event_type":'
    b'"step.stop"}\n\nevent: interaction.completed\ndata: {"interaction":'
    + _INTERACTION
    + b',"event_type":"interaction.completed"}\n\nevent: done\ndata: [DONE]\n\n',
    (
        b'event: image_generation.completed\ndata: {"type":"image_generation.completed",'
        b'"b64_json":"aGk=","usage":{"input_tokens":9,"output_tokens":90}}\n\n'
    ),
    (
        b'data: {"type":"transcript.text.done","text":"hi","usage":{"input_tokens":14,'
        b'"output_tokens":4,"input_token_details":{"audio_tokens":14}}}\n\n'
    ),
    b'event: error\ndata: {"type":"error","error":{"message":"no"}}\n\n',
)
ARRAYS = (
    b"[" + _CONTENT + b"\n,\r\n" + _CONTENT + b"\n]",
    b'[{"a":"]}\\"\\\\"},[1,[2]], 3 ]',
)


class Seeds:
    """Inputs by form. `recordings` is the folder of recorded replies, None where there is none."""

    def __init__(self, recordings: Path | None) -> None:
        self._recorded: dict[FormName, tuple[list[bytes], list[bytes], list[bytes]]] = {}
        for path in sorted(recordings.glob("*.json")) if recordings is not None else ():
            self._read(json.loads(path.read_text()))

    def requests(self, form: FormName) -> list[bytes]:
        return [*REQUESTS, *self._of(form)[0]]

    def replies(self, form: FormName) -> list[bytes]:
        return [*REPLIES, *self._of(form)[1]]

    def streams(self, form: FormName) -> list[bytes]:
        return [*STREAMS, *self._of(form)[2]]

    def arrays(self, form: FormName) -> list[bytes]:
        recorded = [
            b"["
            + b",".join(line[6:] for line in stream.splitlines() if line[:6] == b"data: ")
            + b"]"
            for stream in self._of(form)[2]
        ]
        return [*ARRAYS, *recorded]

    def _of(self, form: FormName) -> tuple[list[bytes], list[bytes], list[bytes]]:
        return self._recorded.get(form, ([], [], []))

    def _read(self, exchange: dict[str, dict[str, object]]) -> None:
        request, response = exchange["request"], exchange["response"]
        path = str(request["path"]).partition("?")[0]
        endpoint = resolve(str(request["method"]), path, {})
        if not isinstance(endpoint, Endpoint) or endpoint.form is None:
            return
        found = self._recorded.setdefault(endpoint.form, ([], [], []))
        streamed = "body_text" in response
        body = str(response["body_text"]) if streamed else json.dumps(response["body"])
        sent = json.dumps(request["body"]).encode()
        for kept, data in ((found[0], sent), (found[2 if streamed else 1], body.encode())):
            if len(data) <= LARGEST_BYTES:
                kept.append(data)
