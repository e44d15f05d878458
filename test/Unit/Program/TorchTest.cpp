//===- TorchTest.cpp - Reader of .pt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// State dicts written by hand; those of torch.save itself are in InteropTest.cpp
// and in test/Python/test_dictionary_formats.py.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

std::string number(int32_t value) { return "J" + little(value); }
std::string word(StringRef text) {
  return "X" + little<uint32_t>(text.size()) + text.str();
}
std::string numbers(std::vector<int32_t> values) {
  std::string text = "(";
  for (int32_t value : values)
    text += number(value);
  return text + "t";
}
/// A tensor of the storage '0', which has `count` numbers.
std::string tensor(int32_t count, int32_t offset, std::vector<int32_t> sizes,
                   std::vector<int32_t> strides,
                   StringRef type = "FloatStorage") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") + "ctorch\n" +
         type.str() + "\n" + word("0") + word("cpu") + number(count) + "tQ" +
         number(offset) + numbers(sizes) + numbers(strides) +
         "\x89" "ccollections\nOrderedDict\n)RtR";
}
std::string dict(const std::string &items) {
  return "\x80\x02}(" + items + "u.";
}

std::string file(const std::string &pickle, size_t count = 6) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(i);
  return rawZip({storedMember("ae/data.pkl", pickle),
                 storedMember("ae/byteorder", "little"),
                 storedMember("ae/data/0", rawBytes(values)),
                 storedMember("ae/version", "3\n")});
}

std::string refusal(const std::string &pickle) {
  return messageOf(openBytes("x.pt", file(pickle)));
}

TEST(Torch, ReadsStateDicts) {
  auto opened = valueOf(openBytes(
      "x.pt", file(dict(word("plain") + tensor(6, 0, {2, 3}, {3, 1}) +
                        word("turned") + tensor(6, 0, {3, 2}, {1, 3}) +
                        word("part") + tensor(6, 4, {2}, {1}) + word("one") +
                        tensor(6, 5, {}, {})))));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->names(),
            (ArrayRef<std::string>{"plain", "turned", "part", "one"}));
  EXPECT_EQ(elementsOf(valueOf(opened->tensor("plain"))),
            (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(valueOf(opened->describe("turned")).data, nullptr);
  TensorView turned = valueOf(opened->tensor("turned"));
  EXPECT_EQ(turned.shape, (SmallVector<int64_t>{3, 2}));
  EXPECT_EQ(elementsOf(turned), (std::vector<double>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(elementsOf(valueOf(opened->tensor("part"))),
            (std::vector<double>{4, 5}));
  EXPECT_EQ(elementsOf(valueOf(opened->tensor("one"))),
            (std::vector<double>{5}));
  // What was brought into order outlives the file.
  opened.reset();
  EXPECT_EQ(elementsOf(turned), (std::vector<double>{0, 3, 1, 4, 2, 5}));
}

TEST(Torch, OrderedDictsWithMetadataAndMemo) {
  // As torch.save(module.state_dict()) writes it.
  std::string pickle = "\x80\x02" "ccollections\nOrderedDict\nq\x01)Rq\x02(" +
                       word("w") + "q\x03" + tensor(6, 0, {6}, {1}) +
                       "u}" + word("_metadata") + "h\x01)Rsb.";
  auto opened = valueOf(openBytes("x.pt", file(pickle)));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->names(), (ArrayRef<std::string>{"w"}));
}

TEST(Torch, NothingOfThePickleIsRun) {
  for (StringRef name : {"cposix\nsystem\n", "cbuiltins\neval\n",
                         "ctorch\nload\n", "ctorch.storage\nUntypedStorage\n"})
    EXPECT_PRED2(contains,
                 refusal(("\x80\x02" + name + "(" + word("true") + "tR.").str()),
                 "which a state dict has no use for: nothing of the file was "
                 "run")
        << name.str();
  EXPECT_PRED2(contains, refusal("\x80\x04\x8c\x05posix\x8c\x06system\x93."),
               "data.pkl names posix.system");
  // INST, OBJ and NEWOBJ call as well.
  for (StringRef code : {"iposix\nsystem\n", "o", "\x81", "P1\n"})
    EXPECT_PRED2(contains, refusal(("\x80\x02(" + code + ".").str()),
                 "has the instruction");
  EXPECT_PRED2(contains,
               refusal("\x80\x02" "ccollections\nOrderedDict\n" +
                       numbers({1}) + "R."),
               "makes an OrderedDict out of something");
}

TEST(Torch, RefusesWhatIsNoStateDict) {
  EXPECT_PRED2(contains, refusal("\x80\x02K\x01."), "does not make one mapping");
  EXPECT_PRED2(contains, refusal(dict(word("a") + number(1))),
               "'a' is no tensor");
  EXPECT_PRED2(contains, refusal(dict(number(1) + number(1))),
               "a key is no text");
  EXPECT_PRED2(contains,
               refusal(dict(word("a") + tensor(6, 0, {1}, {1}) + word("a") +
                            tensor(6, 0, {1}, {1}))),
               "'a' twice");
  EXPECT_PRED2(contains, refusal("\x80\x09."), "protocol 9");
  for (const char *cut : {"", "\x80", "\x80\x02}", "\x80\x02X\x10"})
    EXPECT_PRED2(contains, refusal(cut), "ends in the middle") << cut;
  for (const char *short_ : {"\x80\x02R.", "\x80\x02Q.", "\x80\x02s.",
                             "\x80\x02q\x01.", "\x80\x02\x87."})
    EXPECT_PRED2(contains, refusal(short_), "takes more values than it makes");
  EXPECT_PRED2(contains, refusal("\x80\x02t."), "a mark that it did not set");
  EXPECT_PRED2(contains, refusal("\x80\x02h\x01."), "did not store");
  EXPECT_PRED2(contains, refusal(std::string(1 << 20, 'N') + "."),
               "a state dict may have 1048576");
}

TEST(Torch, TensorsStayInTheirStorage) {
  auto of = [](int32_t count, int32_t offset, std::vector<int32_t> sizes,
               std::vector<int32_t> strides) {
    return refusal(dict(word("t") + tensor(count, offset, sizes, strides)));
  };
  EXPECT_EQ(of(6, 0, {2, 3}, {3, 1}), "");
  for (auto [count, offset, sizes, strides] :
       std::initializer_list<std::tuple<int32_t, int32_t, std::vector<int32_t>,
                                        std::vector<int32_t>>>{
           {6, 1, {2, 3}, {3, 1}},
           {6, 6, {}, {}},
           {6, -1, {1}, {1}},
           {6, 0, {2}, {-1}},
           {6, 0, {2}, {6}},
           {6, 0, {2, 2}, {2147483647, 2147483647}}})
    EXPECT_PRED2(contains, of(count, offset, sizes, strides),
                 "reaches outside of its storage");
  EXPECT_PRED2(contains, of(7, 0, {1}, {1}), "the file holds 6");
  EXPECT_PRED2(contains, of(6, 0, {1000, 1000}, {0, 0}),
               "is larger than its storage");
  EXPECT_PRED2(contains, of(6, 0, {-1}, {1}), "is larger than its storage");
  EXPECT_PRED2(contains, of(6, 0, {2, 3}, {1}), "sizes and strides disagree");
  EXPECT_PRED2(contains,
               refusal(dict(word("t") + tensor(6, 0, {1}, {1}, "QInt8Storage"))),
               "names torch.QInt8Storage");
}

TEST(Torch, Archives) {
  std::string pickle = dict(word("t") + tensor(6, 0, {1}, {1}));
  EXPECT_ERROR(openBytes("x.pt", rawZip({storedMember("a/data.pkl", pickle)})),
               "lies in the storage '0', which is not in the file");
  EXPECT_ERROR(openBytes("x.pt", rawZip({storedMember("a/x", "")})),
               "it has no data.pkl");
  EXPECT_ERROR(
      openBytes("x.pt", rawZip({deflatedMember("a/data.pkl", pickle)})),
      "is compressed");
  EXPECT_ERROR(openBytes("x.pt", rawZip({storedMember("a/data.pkl", pickle),
                                         storedMember("a/byteorder", "big")})),
               "not in little-endian");
  EXPECT_ERROR(openBytes("x.pt", rawZip({storedMember("a/data.pkl", pickle),
                                         storedMember("b/data.pkl", pickle)})),
               "more than one folder");
  RawMember damaged = storedMember("a/data.pkl", pickle);
  damaged.crc ^= 1;
  EXPECT_ERROR(openBytes("x.pt", rawZip({damaged})), "its checksum is wrong");
  EXPECT_ERROR(openBytes("x.pt", "PK"), "x.pt: ");
}

TEST(Torch, EveryBeginningIsSafe) {
  std::string pickle = dict(word("t") + tensor(6, 0, {3, 2}, {1, 3}));
  for (size_t size = 0; size < pickle.size(); ++size)
    EXPECT_NE(refusal(pickle.substr(0, size)), "");
  for (size_t i = 0; i < pickle.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = pickle;
      changed[i] ^= 1 << bit;
      if (auto opened = openBytes("x.pt", file(changed)))
        touchAll(**opened);
      else
        consumeError(opened.takeError());
    }
}

} // namespace
