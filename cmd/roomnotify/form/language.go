package form

import (
	"fmt"
	"time"

	"roomwatch/publisher/events"
)

// Languages are those of the built-in text.
func Languages() []string { return []string{"en", "zh"} }

// words are those of the built-in text in one language. Each %s is one value.
type words struct {
	titles    map[string]string // by type of notification: of a room
	milestone string            // a count and a room

	owner, views, category, lasted, since, room                                                string
	nameBefore, ownerBefore, categoryBefore, coverChanged, activityBefore, viewsBefore, absent string

	held   string // counts
	comma  string // between them
	counts map[string][2]string
	span   string // two times
	more   string // a count
	moreAt string // a count and a place
	where  string // a time
	open   string // what leads to the room

	watch watchWords

	test, fails string
	duration    func(time.Duration) string
}

// speech returns the words of a language; English if it is none of [Languages].
func speech(language string) words {
	if language == "zh" {
		return chinese()
	}
	return english()
}

func english() words {
	return words{
		titles: map[string]string{
			string(events.RoomCreated): "New room: %s", string(events.RoomEnded): "Room ended: %s", string(events.RoomUpdated): "Room changed: %s",
			string(events.RoomHidden): "Room hidden from the list: %s", string(events.RoomShown): "Room back on the list: %s",
		},
		milestone: "%s views: %s",
		owner:     "Owner: %s", views: "Views: %s", category: "Category: %s", lasted: "Live for: %s", since: "Live since: %s", room: "Room: %s",
		nameBefore: "Name before: %s", ownerBefore: "Owner before: %s", categoryBefore: "Category before: %s", coverChanged: "Cover: changed",
		activityBefore: "Activity status before: %s", viewsBefore: "Views before: %s", absent: "none",
		held: "Held back: %s", comma: ", ",
		counts: map[string][2]string{
			string(events.RoomCreated): {"%s new room", "%s new rooms"}, string(events.RoomEnded): {"%s room ended", "%s rooms ended"},
			string(events.RoomUpdated): {"%s room changed", "%s rooms changed"},
			string(events.RoomHidden):  {"%s room hidden", "%s rooms hidden"}, string(events.RoomShown): {"%s room shown again", "%s rooms shown again"}, Milestone: {"%s milestone", "%s milestones"},
			WatchStopped: {"%s time nobody watched", "%s times nobody watched"}, WatchResumed: {"%s time watched again", "%s times watched again"},
		},
		span: "From %s to %s", more: "… and %s more", moreAt: "… and %s more, %s", where: "on the event stream from %s on (roomwatch tail --since)",
		open:  "Open the room",
		watch: englishWatch(),
		test:  "[test] %s", fails: "The text of the rule file fails: %s",
		duration: time.Duration.String,
	}
}

func chinese() words {
	same := func(s string) [2]string { return [2]string{s, s} }
	return words{
		titles: map[string]string{
			string(events.RoomCreated): "新直播间：%s", string(events.RoomEnded): "直播结束：%s", string(events.RoomUpdated): "直播间信息变更：%s",
			string(events.RoomHidden): "直播间已从列表隐藏：%s", string(events.RoomShown): "直播间重新公开：%s",
		},
		milestone: "观看次数达到 %s：%s",
		owner:     "主播：%s", views: "观看次数：%s", category: "分类：%s", lasted: "直播时长：%s", since: "开播时间：%s", room: "房间号：%s",
		nameBefore: "原名称：%s", ownerBefore: "原主播：%s", categoryBefore: "原分类：%s", coverChanged: "封面已更换",
		activityBefore: "原活动状态：%s", viewsBefore: "原观看次数：%s", absent: "无",
		held: "汇总：%s", comma: "，",
		counts: map[string][2]string{
			string(events.RoomCreated): same("%s 个新直播间"), string(events.RoomEnded): same("%s 场直播结束"),
			string(events.RoomUpdated): same("%s 次信息变更"),
			string(events.RoomHidden):  same("%s 次隐藏"), string(events.RoomShown): same("%s 次重新公开"), Milestone: same("%s 次观看里程碑"),
			WatchStopped: same("%s 次无人监看"), WatchResumed: same("%s 次恢复监看"),
		},
		span: "从 %s 到 %s", more: "……还有 %s 条", moreAt: "……还有 %s 条，%s", where: "见事件流 %s 之后的事件（roomwatch tail --since）",
		open:  "查看直播间",
		watch: chineseWatch(),
		test:  "[测试] %s", fails: "规则文件中的文本出错：%s",
		duration: func(d time.Duration) string {
			h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
			switch {
			case h > 0:
				return fmt.Sprintf("%d小时%d分%d秒", h, m, s)
			case m > 0:
				return fmt.Sprintf("%d分%d秒", m, s)
			}
			return fmt.Sprintf("%d秒", s)
		},
	}
}
