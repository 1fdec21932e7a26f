/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory that a process may have, by limits and by control groups as containers have them. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/allowance.h"
#include "memory.h"

static char root[PATH_MAX];
static uint64_t machine;

static void setup(void)
{
	const char *parent = getenv("BLOCKZ_TEST_TMP");
	snprintf(root, sizeof(root), "%s/allowance.XXXXXX", parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	machine = allowance_memory(root);
	ck_assert_uint_gt(machine, 512 * (uint64_t)MIB);
}

static void teardown(void)
{
	char command[PATH_MAX + 16];
	snprintf(command, sizeof(command), "rm -r '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* Writes a file below the root, and the folders that it is in. */
static void put(const char *path, const char *text)
{
	char name[2 * PATH_MAX];
	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = name + strlen(root); (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		mkdir(name, 0777);
		*slash = '/';
	}
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void put_mount_1(const char *mount_root, const char *options)
{
	char line[PATH_MAX];
	snprintf(line, sizeof(line), "35 31 0:32 %s /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,%s\n",
		 mount_root, options);
	put("/proc/self/mountinfo", line);
}

static void put_mount_2(const char *mount_root)
{
	char line[PATH_MAX];
	snprintf(line, sizeof(line), "41 31 0:38 %s /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n",
		 mount_root);
	put("/proc/self/mountinfo", line);
}

#define ck_assert_allows(mib) ck_assert_uint_eq(allowance_memory(root), (uint64_t)(mib) * MIB)

START_TEST(without_limits_it_is_the_machines)
{
	ck_assert_uint_le(machine, (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
	put("/proc/self/cgroup", "0::/user.slice/session\n");
	put_mount_2("/");
	ck_assert_uint_eq(allowance_memory(root), machine);
	put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
	put("/sys/fs/cgroup/user.slice/session/memory.max", "99999999999999999\n");
	ck_assert_uint_eq(allowance_memory(root), machine);
}
END_TEST

START_TEST(groups_of_version_2_count_up_to_the_first)
{
	put("/proc/self/cgroup", "0::/user.slice/my session\n");
	put_mount_2("/");
	put("/sys/fs/cgroup/user.slice/my session/memory.max", "314572800\n");
	ck_assert_allows(300);
	put("/sys/fs/cgroup/user.slice/my session/memory.high", "209715200\n");
	ck_assert_allows(200);
	put("/sys/fs/cgroup/user.slice/memory.max", "104857600\n");
	ck_assert_allows(100);
	put("/sys/fs/cgroup/memory.max", "52428800\n");
	ck_assert_allows(50);
	put("/sys/fs/memory.max", "10485760\n"); /* no control group */
	put("/sys/fs/cgroup/system.slice/memory.max", "10485760\n");
	ck_assert_allows(50);
}
END_TEST

START_TEST(groups_of_version_1_count_where_memory_is_theirs)
{
	put("/proc/self/cgroup", "4:cpu,cpuacct:/a\n3:name=systemd:/a\n2:hugetlb,memory:/docker/12ab\n0::/a\n");
	put("/sys/fs/cgroup/memory/docker/12ab/memory.limit_in_bytes", "314572800\n");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "10485760\n");
	put_mount_1("/", "hugetlb,memory");
	ck_assert_allows(300);
	put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "104857600\n");
	ck_assert_allows(100);
	put_mount_1("/", "cpu,memory_of_another_kind");
	ck_assert_uint_eq(allowance_memory(root), machine);
}
END_TEST

/* A container sees its own group as the first one. */
START_TEST(only_a_part_of_the_groups_may_be_mounted)
{
	put("/sys/fs/cgroup/memory.max", "314572800\n");
	put("/sys/fs/cgroup/sub/memory.max", "209715200\n");
	put_mount_2("/docker/12ab");
	put("/proc/self/cgroup", "0::/docker/12ab/sub\n");
	ck_assert_allows(200);
	put("/proc/self/cgroup", "0::/docker/12ab\n");
	ck_assert_allows(300);
	put("/proc/self/cgroup", "0::/docker/12abcd/sub\n"); /* elsewhere, as from another namespace */
	ck_assert_allows(300);
	put_mount_2("/");
	put("/proc/self/cgroup", "0::/../outside\n");
	ck_assert_allows(300);
}
END_TEST

START_TEST(a_place_may_have_a_blank)
{
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", "41 31 0:38 / /my\\040groups rw - cgroup2 none rw\n");
	put("/my groups/a/memory.max", "314572800\n");
	ck_assert_allows(300);
}
END_TEST

START_TEST(nonsense_is_no_limit)
{
	put("/proc/self/cgroup", "\n0\n0:\n::\n0::/a\n");
	put("/proc/self/mountinfo", "\n - \n1 2 3 4 5 - \n1 2 3 / /g - cgroup2\n1 2 3 / /g - cgroup2 none rw\n");
	put("/g/a/memory.max", "-\n");
	put("/g/a/memory.high", "0\n");
	ck_assert_uint_eq(allowance_memory(root), machine);
}
END_TEST

START_TEST(limits_of_the_process_count)
{
	static const int kinds[] = { RLIMIT_AS, RLIMIT_DATA };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rlimit before, limit;
		ck_assert_int_eq(getrlimit(kinds[i], &before), 0);
		limit = (struct rlimit){ 400 * (rlim_t)MIB, before.rlim_max };
		ck_assert_int_eq(setrlimit(kinds[i], &limit), 0);
		ck_assert_allows(400);
		ck_assert_int_eq(setrlimit(kinds[i], &before), 0);
		ck_assert_uint_eq(allowance_memory(root), machine);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("allowance");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, without_limits_it_is_the_machines);
	tcase_add_test(c, groups_of_version_2_count_up_to_the_first);
	tcase_add_test(c, groups_of_version_1_count_where_memory_is_theirs);
	tcase_add_test(c, only_a_part_of_the_groups_may_be_mounted);
	tcase_add_test(c, a_place_may_have_a_blank);
	tcase_add_test(c, nonsense_is_no_limit);
	tcase_add_test(c, limits_of_the_process_count);
	return case_run("allowance", c);
}
