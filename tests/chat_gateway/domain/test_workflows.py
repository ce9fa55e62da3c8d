import time
from typing import Any

import msgspec
import pytest

from chat_gateway.domain.ports import Whole
from chat_gateway.domain.workflows import COMING, COMING_IN_CHINESE, hint_for, said


def hint(text: str) -> str | None:
    return hint_for([{"role": "user", "content": text}])


@pytest.mark.parametrize(
    "text",
    [
        "Create a workflow that summarises my mail every morning",
        "create a pipeline that reads PDFs and answers questions",
        "Please build me a simple two-step workflow: first translate, then summarise.",
        "Hi! Can you make a new pipeline which classifies tickets?",
        "Could you please set up a workflow to watch a folder",
        "I want a workflow that files invoices",
        "I'd like to design a RAG pipeline with two retrievers",
        "I need you to put together a document review pipeline",
        "Let's build a work-flow for onboarding",
        "Generate the following pipeline: load, clean, embed.",
        "Here is what I need.\nBuild a workflow where each step is checked.",
    ],
)
def test_a_wish_for_a_workflow_is_known(text: str) -> None:
    assert hint(text) == COMING


@pytest.mark.parametrize(
    "text",
    [
        "创建一个工作流\uff0c每天早上总结我的邮件",
        "请帮我创建一个工作流程\uff1a先翻译再总结",
        "帮我搭建一条流水线\uff0c把 PDF 转成文本",
        "能不能帮我生成一个文档处理的流水线\uff1f",
        "我想要一个工作流\uff0c自动归档发票",
        "给我做个 pipeline\uff0c先检索再回答",
        "你好\uff01请设计一套数据清洗管道。",
        "我需要一个workflow",
    ],
)
def test_a_wish_in_chinese_is_answered_in_chinese(text: str) -> None:
    assert hint(text) == COMING_IN_CHINESE


@pytest.mark.parametrize(
    "text",
    [
        "How do I create a workflow?",
        "What does the build pipeline do?",
        "Why does creating a pipeline fail with a 409?",
        "Create a CI pipeline for GitLab",
        "Write a GitHub workflow that runs pytest",
        "Make a scikit-learn pipeline with a scaler",
        "Explain the pipeline that you can create",
        "Create a function that returns a workflow id",
        "The team wants to create a workflow.",
        "Summarise this: somebody said that pipelines are coming",
        "如何创建一个工作流\uff1f",
        "为什么创建流水线会失败\uff1f",
        "工作流是什么",
        "怎么搭建流水线",
        "请帮我修复 GitLab 流水线",
        "",
        "create",
    ],
)
def test_anything_else_is_left_to_the_engine(text: str) -> None:
    assert hint(text) is None


def test_only_the_last_thing_said_counts() -> None:
    wish = {"role": "user", "content": "Create a workflow that mails me"}

    assert hint_for([wish, {"role": "assistant", "content": "x"}, {"role": "user", "content": "thanks"}]) is None
    assert hint_for([{"role": "system", "content": "Create a workflow that mails me"}]) is None


@pytest.mark.parametrize("text", ["create a " + "x " * 50_000, "create a " * 20_000, "请" * 50_000, "please " * 20_000])
def test_a_long_message_is_read_in_no_time(text: str) -> None:
    began = time.thread_time()

    assert hint(text) is None
    assert time.thread_time() - began < 0.5


def test_the_sentence_comes_as_an_answer_does() -> None:
    whole = said(COMING, model="m", streamed=False)

    assert isinstance(whole, Whole)
    assert msgspec.json.decode(whole.body)["choices"][0]["message"]["content"] == COMING


def test_each_sentence_is_a_completion_of_its_own() -> None:
    bodies = list[Any]()
    for _ in range(2):
        whole = said(COMING, model="m", streamed=False)
        assert isinstance(whole, Whole)
        bodies.append(msgspec.json.decode(whole.body))

    assert bodies[0]["id"] != bodies[1]["id"]
    assert abs(bodies[0]["created"] - time.time()) < 60
