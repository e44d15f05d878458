//===- ArchiveTest.cpp - torch.export archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Program/ArchiveGraph.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"

#include <rapidcheck/gtest.h>

#include <cmath>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

using Records = std::map<std::string, std::string>;

const std::string modelRecord = "models/model.json";
const std::string weightsRecord = "data/weights/model_weights_config.json";
const std::string constantsRecord =
    "data/constants/model_constants_config.json";

/// The archive with the first `from` in a record replaced by `to`.
Expected<std::shared_ptr<Archive>> withChange(const std::string &record,
                                              const std::string &from,
                                              const std::string &to) {
  Records records = archiveRecords();
  std::string &text = records[record];
  size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  text.replace(place, from.size(), to);
  return openArchive(archiveBytes(records));
}

/// All that is safe to do with an archive that opens.
void touchAll(const Archive &archive) {
  size_t sum = 0;
  for (const std::string &name : archive.records())
    for (std::byte byte : cantFail(archive.record(name)))
      sum += std::to_integer<size_t>(byte);
  for (const StringMap<ArchiveTensor> *tensors :
       {&archive.weights(), &archive.constants()}) {
    for (const auto &entry : *tensors) {
      const ArchiveTensor &tensor = entry.second;
      ASSERT_EQ(tensor.sizes.size(), tensor.strides.size());
      // The last element that the sizes and strides reach.
      int64_t last = tensor.storageOffset;
      bool empty = false;
      for (auto [size, stride] : zip_equal(tensor.sizes, tensor.strides)) {
        empty |= size == 0;
        last += (size - 1) * stride;
      }
      std::optional<DType> type = dtypeOfArchive(tensor.dtype);
      if (!empty && type) {
        ASSERT_LE((last + 1) * sizeOf(*type), tensor.bytes.size());
      }
    }
  }
  volatile size_t sink = sum + printJSON(archive.model()).size();
  (void)sink;
}

TEST(Archive, ReadsWhatIsThere) {
  std::string bytes = archiveBytes(archiveRecords());
  auto archive = valueOf(openArchive(bytes));
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->path(), "test.pt2");
  EXPECT_EQ(archive->modelName(), "model");
  EXPECT_EQ(archive->records().size(), archiveRecords().size());
  EXPECT_TRUE(archive->model().get("a key of the future"));
  EXPECT_EQ(archive->weights().size(), 3u);
  EXPECT_EQ(archive->constants().size(), 1u);

  const ArchiveTensor *w = archive->find("w"), *tied = archive->find("tied");
  ASSERT_TRUE(w && tied);
  EXPECT_TRUE(w->isParameter);
  EXPECT_EQ(dtypeOfArchive(w->dtype), DType::Float32);
  EXPECT_EQ(w->sizes, (SmallVector<int64_t>{2, 3}));
  EXPECT_EQ(tied->strides, (SmallVector<int64_t>{1, 3}));
  EXPECT_EQ(w->record, "data/weights/weight_0");
  EXPECT_EQ(w->bytes.data(), tied->bytes.data());
  EXPECT_EQ(textOf(w->bytes), rawBytes<float>({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(bytes.substr(w->fileOffset, 24), textOf(w->bytes));

  const ArchiveTensor *c = archive->find("c");
  ASSERT_TRUE(c);
  EXPECT_FALSE(c->isParameter);
  EXPECT_TRUE(c->sizes.empty());
  EXPECT_EQ(archive->find("nothing"), nullptr);
  EXPECT_EQ(textOf(valueOf(archive->record("extra/notes.txt"))),
            "kept as it is");
  EXPECT_ERROR(archive->record("extra/none"), "no record 'extra/none'");
  EXPECT_OK(archive->verify());
  touchAll(*archive);
}

TEST(Archive, TheTopFolderIsOptional) {
  EXPECT_OK(openArchive(archiveBytes(archiveRecords(), "")));
  std::vector<RawMember> members = {storedMember("stray", "x")};
  for (const auto &[name, content] : archiveRecords())
    members.push_back(storedMember("top/" + name, content));
  EXPECT_ERROR(openArchive(rawZip(members)), "'stray' is outside");
  members.front() = storedMember("top/", "");
  EXPECT_OK(openArchive(rawZip(members)));
}

TEST(Archive, RecordsHaveToBeThere) {
  for (const char *needed :
       {"archive_format", "archive_version", "models/model.json",
        "data/weights/model_weights_config.json",
        "data/constants/model_constants_config.json", "data/weights/weight_0",
        "data/constants/tensor_0"}) {
    Records records = archiveRecords();
    records.erase(needed);
    EXPECT_NE(messageOf(openArchive(archiveBytes(records))), "") << needed;
  }
  Records records = archiveRecords();
  records.erase("byteorder");
  EXPECT_OK(openArchive(archiveBytes(records)));
}

TEST(Archive, RefusesWhatItDoesNotUnderstand) {
  EXPECT_ERROR(withChange("archive_format", "pt2", "pt3"), "says 'pt3'");
  EXPECT_ERROR(withChange("archive_version", "0", "1"),
               "only '0' is supported");
  EXPECT_ERROR(withChange("byteorder", "little", "big"), "says 'big'");
  EXPECT_ERROR(withChange(modelRecord, "\"major\": 8", "\"major\": 9"),
               "schema version 9; version 8 is supported");
  EXPECT_OK(withChange(modelRecord, "\"minor\": 20", "\"minor\": 99"));
  EXPECT_ERROR(withChange(modelRecord, "major", "mayor"), "schema_version");
  EXPECT_ERROR(withChange(modelRecord, "graph_module", "module"),
               "no graph_module");
  EXPECT_ERROR(withChange(modelRecord, "[null]", "[null"), "models/model.json");
  EXPECT_ERROR(withChange(modelRecord, "[null]", std::string(300, '[')),
               "nested deeper");
  EXPECT_ERROR(withChange(modelRecord, "a key of the future", "graph_module"),
               "'graph_module' twice");

  Records two = archiveRecords();
  two["models/other.json"] = two[modelRecord];
  EXPECT_ERROR(openArchive(archiveBytes(two)), "several programs");
  Records odd = archiveRecords();
  odd["models/readme"] = "x";
  EXPECT_ERROR(openArchive(archiveBytes(odd)), "'models/readme' is not");
}

TEST(Archive, RefusesPickles) {
  EXPECT_ERROR(withChange(weightsRecord, "\"use_pickle\": false",
                          "\"use_pickle\": true"),
               "is pickled, which is refused");
  EXPECT_ERROR(withChange(constantsRecord, "\"use_pickle\": false",
                          "\"use_pickle\": true"),
               "is pickled, which is refused");
}

TEST(Archive, RefusesBadPayloads) {
  const std::tuple<const char *, const char *, const char *> refusals[] = {
      {"\"as_int\": 2}", "\"as_int\": 3}", "reaches outside its record"},
      {"\"as_int\": 2}", "\"as_int\": -2}", "bad sizes"},
      {"\"as_int\": 2}", "\"as_int\": 9223372036854775807}", "reaches outside"},
      {"\"as_int\": 2}", "\"as_expr\": 2}", "bad sizes"},
      {"\"storage_offset\": {\"as_int\": 0}",
       "\"storage_offset\": {\"as_int\": 1}", "reaches outside"},
      {"\"storage_offset\": {\"as_int\": 0}",
       "\"storage_offset\": {\"as_int\": 9223372036854775807}",
       "reaches outside"},
      {"\"strides\": [{\"as_int\": 3}, {\"as_int\": 1}]",
       "\"strides\": [{\"as_int\": 3}]", "bad sizes"},
      {"\"strides\": [{\"as_int\": 3}, {\"as_int\": 1}]",
       "\"strides\": [{\"as_int\": 4611686018427387904}, {\"as_int\": 1}]",
       "reaches outside"},
      // Nothing is read of an empty tensor, but its place is computed.
      {"\"as_int\": 2}, {\"as_int\": 3}], \"strides\": [{\"as_int\": 3}, "
       "{\"as_int\": 1}], \"storage_offset\": {\"as_int\": 0}",
       "\"as_int\": 0}, {\"as_int\": 3}], \"strides\": [{\"as_int\": 3}, "
       "{\"as_int\": 1}], \"storage_offset\": {\"as_int\": 7}",
       "reaches outside"},
      {"\"dtype\": 7", "\"dtype\": 8", "reaches outside"},
      {"\"dtype\": 7", "\"dtype\": 0", "unknown dtype"},
      {"\"dtype\": 7", "\"dtype\": 14", "unknown dtype"},
      {"\"dtype\": 7", "\"dtype\": \"7\"", "unknown dtype"},
      {"\"layout\": 7", "\"layout\": 1", "is not strided"},
      {"weight_0", "weight_9", "in a record that is not there"},
      {"weight_0", "../../archive_format", "in a record that is not there"},
      {"\"path_name\"", "\"path\"", "needs path_name"},
      {"\"is_param\"", "\"param\"", "needs path_name"},
      {"\"tensor_meta\"", "\"meta\"", "no tensor_meta"},
      {"\"config\"", "\"configs\"", "no object 'config'"},
      {"\"tied\"", "\"w\"", "'w' twice"},
      {"\"w\"", "\"c\"", "both a weight and a constant"},
  };
  for (const auto &[from, to, message] : refusals)
    EXPECT_ERROR(withChange(weightsRecord, from, to), message);

  Records records = archiveRecords();
  records["data/weights/weight_0"].push_back('x');
  EXPECT_ERROR(openArchive(archiveBytes(records)), "whole elements");
  records["data/weights/weight_0"].clear();
  EXPECT_ERROR(openArchive(archiveBytes(records)), "reaches outside");
}

// With strides of 0 a byte can claim to be any number of elements.
TEST(Archive, ExpandedTensorsStayCountable) {
  std::string sizes = R"("sizes": [], "strides": [])";
  EXPECT_OK(
      withChange(constantsRecord, sizes,
                 R"("sizes": [{"as_int": 5}], "strides": [{"as_int": 0}])"));
  EXPECT_ERROR(
      withChange(constantsRecord, sizes,
                 R"("sizes": [{"as_int": 4294967296}, {"as_int": 4294967296}],
                    "strides": [{"as_int": 0}, {"as_int": 0}])"),
      "reaches outside");
}

TEST(Archive, RefusesCompressedRecords) {
  std::vector<RawMember> members;
  for (const auto &[name, content] : archiveRecords())
    members.push_back(name == modelRecord ? deflatedMember("x/" + name, content)
                                          : storedMember("x/" + name, content));
  EXPECT_ERROR(openArchive(rawZip(members)), "is compressed");
}

TEST(Archive, ChecksumsOfDocumentsAreCheckedAtOnce) {
  std::string bytes = archiveBytes(archiveRecords());
  size_t place = bytes.find("a key of the future");
  bytes[place] = 'b';
  EXPECT_ERROR(openArchive(bytes), "'models/model.json' has a wrong checksum");

  bytes = archiveBytes(archiveRecords());
  place = bytes.find("kept as it is");
  bytes[place] = 'K';
  auto archive = valueOf(openArchive(bytes));
  ASSERT_TRUE(archive);
  EXPECT_ERROR(archive->verify(), "'extra/notes.txt' has a wrong checksum");
  EXPECT_ERROR(archive->verify("extra/notes.txt"), "wrong checksum");
  EXPECT_ERROR(archive->verifiedRecord("extra/notes.txt"), "wrong checksum");
  EXPECT_ERROR(archive->verify("extra/none"), "no record 'extra/none'");
  // The others are as they were.
  EXPECT_OK(archive->verify("data/weights/weight_0"));
  EXPECT_EQ(valueOf(archive->verifiedRecord("data/weights/weight_0")),
            archive->find("w")->bytes);
}

TEST(Archive, IsReadFromTheFileThatWasOpened) {
  TemporaryFolder folder;
  writeFile(folder.file("a.pt2"), archiveBytes(archiveRecords()));
  auto file = valueOf(InputFile::open(folder.file("a.pt2")));
  EXPECT_OK(writeTextAtomically(folder.file("a.pt2"), "another"));
  auto archive = valueOf(Archive::open(file));
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->file(), file);
  EXPECT_EQ(archive->bytes().size(), file->size());
  EXPECT_EQ(archive->path(), folder.file("a.pt2"));
  EXPECT_OK(archive->verify());
}

TEST(Archive, TensorsOutliveTheGraph) {
  auto archive = valueOf(openArchive(archiveBytes(archiveRecords())));
  std::vector<std::string> names;
  for (const auto &entry : archive->weights())
    names.push_back(entry.first().str());
  ASSERT_FALSE(names.empty());
  releaseGraph(*archive);
  for (const std::string &name : names)
    EXPECT_TRUE(archive->find(name)) << name;
  EXPECT_OK(archive->verifiedRecord(weightsRecord));
  EXPECT_DEATH((void)archive->model(), "after its release");
}

TEST(Archive, EveryTruncationIsRefused) {
  std::string whole = archiveBytes(archiveRecords());
  EXPECT_OK(openArchive(whole));
  for (size_t size = 0; size < whole.size(); ++size)
    ASSERT_NE(messageOf(openArchive(whole.substr(0, size))), "") << size;
}

/// Names and bytes of all records.
Records contentOf(const Archive &archive) {
  Records records;
  for (const std::string &name : archive.records())
    records[name] = textOf(cantFail(archive.record(name)));
  return records;
}

// What is damaged is refused, found by verify(), or says the same.
TEST(Archive, NoFlippedBitChangesContentSilently) {
  std::string whole = archiveBytes(archiveRecords());
  size_t opened = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] ^= 1 << bit % 8;
    auto archive = openArchive(bytes);
    if (!archive) {
      consumeError(archive.takeError());
      continue;
    }
    ++opened;
    touchAll(**archive);
    if (messageOf((*archive)->verify()).empty()) {
      ASSERT_EQ(contentOf(**archive), archiveRecords()) << bit;
    }
  }
  // Version, time and attribute fields carry no content, and payloads are only
  // compared by verify().
  EXPECT_GT(opened, 0u);
}

RC_GTEST_PROP(Archive, MutatedArchivesAreSafe, ()) {
  std::string bytes = archiveBytes(archiveRecords());
  for (int i = *rc::gen::inRange(2, 6); i > 0; --i)
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] =
        *rc::gen::arbitrary<char>();
  auto archive = openArchive(bytes);
  if (archive)
    touchAll(**archive);
  else
    consumeError(archive.takeError());
}

/// Documents with right checksums whose text was changed at random: what a
/// hostile writer would make.
RC_GTEST_PROP(Archive, MutatedDocumentsAreSafe, ()) {
  Records records = archiveRecords();
  std::string &text =
      records[*rc::gen::element(modelRecord, weightsRecord, constantsRecord)];
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
    text[*rc::gen::inRange<size_t>(0, text.size())] =
        *rc::gen::elementOf(std::string("0123456789-.{}[]\",: e"));
  auto archive = openArchive(archiveBytes(records));
  if (archive)
    touchAll(**archive);
  else
    consumeError(archive.takeError());
}

TEST(Archive, DTypesOfTheSchemaComeBack) {
  for (DType type : {DType::Float64, DType::Float32, DType::Float16,
                     DType::BFloat16, DType::Int64, DType::Int32, DType::Int16,
                     DType::Int8, DType::UInt8, DType::Bool})
    EXPECT_EQ(dtypeOfArchive(archiveDType(type)), type);
  for (int64_t number : {-1, 0, 9, 10, 11, 14, 28, 29, 34, 36})
    EXPECT_EQ(dtypeOfArchive(number), std::nullopt);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

TEST(ArchiveWriter, KeepsEverythingAndAddsTensors) {
  TemporaryFolder folder;
  auto source = valueOf(openArchive(archiveBytes(archiveRecords())));
  ASSERT_TRUE(source);
  std::vector<float> row = {1.5f, -2.0f};
  auto bytes = ArrayRef(reinterpret_cast<const std::byte *>(row.data()), 8);
  std::vector<AddedTensor> added = {
      {AddedTensor::Parameter, "weir.p", given(DType::Float32, {1, 2}, bytes)},
      {AddedTensor::Buffer, "weir.b", given(DType::Float32, {2}, bytes)},
      {AddedTensor::Constant, "weir.c", given(DType::Float32, {2, 1, 1}, bytes)},
      {AddedTensor::Constant, "weir.none", given(DType::BFloat16, {3, 0}, {})}};
  json::Object model = source->model();
  model["weir"] = -0.0;
  std::string path = folder.file("out.pt2");
  ASSERT_EQ(messageOf(rewriteArchive(
                *source, path, model, added,
                {{"extra/notes.txt", bytesOf("new")},
                 {"extra/weir.json", bytesOf("{}")},
                 {"data/sample_inputs/model.pt", bytesOf("inputs")}})),
            "");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"out.pt2"});

  auto copy = valueOf(Archive::open(path));
  ASSERT_TRUE(copy);
  EXPECT_OK(copy->verify());
  EXPECT_TRUE(std::signbit(*copy->model().getNumber("weir")));
  model["weir"] = 0;
  json::Object read = copy->model();
  read["weir"] = 0;
  EXPECT_EQ(json::Value(std::move(read)), json::Value(std::move(model)));

  Records before = contentOf(*source), after = contentOf(*copy);
  EXPECT_EQ(after["extra/notes.txt"], "new");
  EXPECT_EQ(after["extra/weir.json"], "{}");
  EXPECT_EQ(after["data/sample_inputs/model.pt"], "inputs");
  for (const auto &[name, content] : before) {
    if (!StringRef(name).ends_with(".json") && name != "extra/notes.txt") {
      EXPECT_EQ(after[name], content) << name;
    }
  }
  EXPECT_PRED2(contains, after[weightsRecord], "\"also kept\":1");
  for (const auto &entry : source->weights())
    EXPECT_EQ(textOf(copy->find(entry.getKey())->bytes),
              textOf(entry.second.bytes));

  const ArchiveTensor *p = copy->find("weir.p"), *b = copy->find("weir.b"),
                      *c = copy->find("weir.c"), *n = copy->find("weir.none");
  ASSERT_TRUE(p && b && c && n);
  EXPECT_TRUE(p->isParameter);
  EXPECT_FALSE(b->isParameter);
  EXPECT_EQ(p->record, "data/weights/weight_2");
  EXPECT_EQ(b->record, "data/weights/weight_3");
  EXPECT_EQ(c->record, "data/constants/tensor_1");
  EXPECT_TRUE(copy->constants().contains("weir.c"));
  EXPECT_EQ(c->sizes, (SmallVector<int64_t>{2, 1, 1}));
  EXPECT_EQ(c->strides, (SmallVector<int64_t>{1, 1, 1}));
  EXPECT_EQ(textOf(c->bytes), rawBytes(row));
  EXPECT_EQ(c->fileOffset % 64, 0u);
  EXPECT_TRUE(n->bytes.empty());
}

TEST(ArchiveWriter, TheSameInputGivesTheSameFile) {
  TemporaryFolder folder;
  auto source = valueOf(openArchive(archiveBytes(archiveRecords())));
  for (const char *name : {"a.pt2", "b.pt2"})
    EXPECT_OK(rewriteArchive(*source, folder.file(name), source->model(), {}));
  EXPECT_EQ(readFile(folder.file("a.pt2")), readFile(folder.file("b.pt2")));
}

TEST(ArchiveWriter, MayReplaceItsSource) {
  TemporaryFolder folder;
  std::string path = folder.file("x.pt2");
  writeFile(path, archiveBytes(archiveRecords()));
  auto source = valueOf(Archive::open(path));
  EXPECT_OK(rewriteArchive(*source, path, source->model(), {}));
  // The old mapping is still that of the old file.
  EXPECT_OK(source->verify());
  auto again = valueOf(Archive::open(path));
  EXPECT_OK(rewriteArchive(*again, path, again->model(), {}));
  EXPECT_OK(valueOf(Archive::open(path))->verify());
}

TEST(ArchiveWriter, RefusesWhatDoesNotFit) {
  TemporaryFolder folder;
  std::string path = folder.file("out.pt2");
  auto source = valueOf(openArchive(archiveBytes(archiveRecords())));
  auto refuse = [&](std::vector<AddedTensor> tensors,
                    std::vector<AddedRecord> records, const char *message) {
    EXPECT_ERROR(
        rewriteArchive(*source, path, source->model(), tensors, records),
        message);
  };
  AddedTensor good = {
      AddedTensor::Constant, "new", given(DType::UInt8, {2}, bytesOf("ab"))};
  AddedTensor bad = good;
  bad.fqn = "w";
  refuse({bad}, {}, "'w' has a name that is taken");
  bad.fqn = "c";
  refuse({bad}, {}, "taken");
  bad.fqn = "";
  refuse({bad}, {}, "taken");
  refuse({good, good}, {}, "taken");
  bad = good;
  bad.values = given(DType::UInt8, {3}, bytesOf("ab"));
  refuse({bad}, {}, "does not have the 3 bytes that were announced");
  bad.values = given(DType::UInt8, {1}, bytesOf("ab"));
  refuse({bad}, {}, "does not have the 1 bytes that were announced");
  bad.values = given(DType::UInt8, {-2}, {});
  refuse({bad}, {}, "sizes that are negative or too large");
  bad.values = given(DType::UInt8, {1ll << 62, 4}, {});
  refuse({bad}, {}, "sizes that are negative or too large");
  for (const char *name :
       {"archive_format", "archive_version", "byteorder", "version",
        ".data/version", "models/x.json", "data/weights/weight_7",
        "data/constants/model_constants_config.json"})
    refuse({}, {{name, {}}}, "is one of the archive's");
  refuse({}, {{"../x", {}}}, "'..'");
  refuse({}, {{"/x", {}}}, "absolute");
  refuse({}, {{"extra/", {}}}, "is a folder");
  refuse({}, {{"extra/x", {}}, {"extra/x", {}}}, "twice");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{});
}

// The copy gets a hash of its own, which would say that all is well.
TEST(ArchiveWriter, DamageIsNotCopied) {
  TemporaryFolder folder;
  std::string path = folder.file("out.pt2");
  writeFile(path, "old");
  size_t refused = 0;
  for (const auto &[name, content] : archiveRecords()) {
    // What the writer of zips adds is not copied.
    if (name == "version" || name.rfind(".data/", 0) == 0)
      continue;
    std::string bytes = archiveBytes(archiveRecords());
    // The content follows its name.
    size_t place = bytes.find(content, bytes.find("program/" + name));
    ASSERT_NE(place, std::string::npos) << name;
    bytes[place] ^= 1;
    auto source = openArchive(bytes);
    if (!source) {
      // A document, or a mark of the format: it does not even open.
      consumeError(source.takeError());
      continue;
    }
    EXPECT_ERROR(rewriteArchive(**source, path, (*source)->model(), {}),
                 "record '" + name + "' has a wrong checksum");
    EXPECT_TRUE(readFile(path) == "old") << name;
    ++refused;
  }
  EXPECT_GE(refused, 4u); // weights, a constant, notes
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"out.pt2"});
}

TEST(ArchiveWriter, AFailedWriteLeavesTheOldFile) {
  TemporaryFolder folder;
  auto source = valueOf(openArchive(archiveBytes(archiveRecords())));
  EXPECT_ERROR(rewriteArchive(*source, folder.file("no/folder.pt2"),
                              source->model(), {}),
               "cannot create a temporary file");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{});
}

//===----------------------------------------------------------------------===//
// Which model it is
//===----------------------------------------------------------------------===//

TEST(Fingerprint, IsThatOfTheWeights) {
  Records records = archiveRecords();
  auto archive = valueOf(openArchive(archiveBytes(records)));
  ASSERT_TRUE(archive);
  std::string w = sha256(bytesOf(records["data/weights/weight_0"]));
  std::string steps = sha256(bytesOf(records["data/weights/weight_1"]));
  EXPECT_EQ(weightsHash(*archive),
            sha256(bytesOf("\"steps\" 5 [4] [1] 0 " + steps + "\n" +
                           "\"tied\" 7 [3, 2] [1, 3] 0 " + w + "\n" +
                           "\"w\" 7 [2, 3] [3, 1] 0 " + w + "\n")));
  EXPECT_EQ(valueOf(graphHash(*archive)), sha256(bytesOf(records[modelRecord])));

  // What steering adds does not change it, nor does another constant.
  TemporaryFolder folder;
  std::string path = folder.file("steered.pt2");
  json::Object model = archive->model();
  model["steered"] = true;
  float row[] = {1, 2};
  AddedTensor added{
      AddedTensor::Constant, "weir.c",
      given(DType::Float32, {2}, {reinterpret_cast<const std::byte *>(row), 8})};
  EXPECT_OK(rewriteArchive(*archive, path, model, added));
  auto steered = valueOf(Archive::open(path));
  ASSERT_TRUE(steered);
  EXPECT_EQ(weightsHash(*steered), weightsHash(*archive));
  EXPECT_NE(valueOf(graphHash(*steered)), valueOf(graphHash(*archive)));

  // Anything about a weight does.
  for (auto [record, from, to] :
       {std::tuple(weightsRecord, "\"w\"", "\"v\""),
        std::tuple(weightsRecord, "\"dtype\": 5", "\"dtype\": 8"),
        std::tuple(std::string("data/weights/weight_1"), "\x07", "\x06")}) {
    auto changed = valueOf(withChange(record, from, to));
    ASSERT_TRUE(changed);
    EXPECT_NE(weightsHash(*changed), weightsHash(*archive)) << to;
  }
}

} // namespace
